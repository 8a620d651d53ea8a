import "elf"
import "hash"
import "math"

rule Stratum : miner
{
  meta:
    description = "the address of a mining pool"
    score = 80
  strings:
    $a = "stratum+tcp://"
  condition:
    $a
}

rule SmallProgram
{
  meta:
    description = "a small static program"
  condition:
    elf.type == elf.ET_EXEC and filesize < 16KB
}

rule CronAsRoot
{
  strings:
    $job = /\*( \*){4} root /
    $agent = "/usr/lib/agent"
  condition:
    all of them and filesize < 100
}

rule Busy
{
  condition:
    filesize > 0 and math.entropy(0, filesize) > 7.9
}

rule Known
{
  condition:
    hash.sha256(0, filesize) == "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
}
