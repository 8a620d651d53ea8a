// Reads tar archives as Go's archive/tar does, which the engines use: from stdin, each after its length (four bytes, big-endian); a line of
// JSON each.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
)

type member struct {
	Name   string `json:"name"` // its bytes, in hexadecimal
	Type   string `json:"type"`
	Target string `json:"target"`
	Sum    string `json:"sum"`
}

type reading struct {
	Members []member `json:"members"`
	Error   string   `json:"error"`
}

func read(archive []byte) reading {
	found := reading{Members: []member{}}
	files := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := files.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			found.Error = err.Error()
			return found
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, files); err != nil {
			found.Error = err.Error()
			return found
		}
		found.Members = append(found.Members, member{
			Name:   hex.EncodeToString([]byte(header.Name)),
			Type:   string(rune(header.Typeflag)),
			Target: hex.EncodeToString([]byte(header.Linkname)),
			Sum:    hex.EncodeToString(hash.Sum(nil)),
		})
	}
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		var length uint32
		if binary.Read(input, binary.BigEndian, &length) != nil {
			return
		}
		archive := make([]byte, length)
		if _, err := io.ReadFull(input, archive); err != nil {
			panic(err)
		}
		if err := output.Encode(read(archive)); err != nil {
			panic(err)
		}
	}
}
