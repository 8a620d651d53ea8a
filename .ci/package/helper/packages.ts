/** Debian's name of an architecture, the same as an image's. */
export const ARCHITECTURES = ["amd64", "arm64"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** Where Debian has libraries of an architecture. */
export const TRIPLETS: Readonly<Record<Architecture, string>> = { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

/**
 * What is taken of each package, besides its copyright file: paths, "LIB" for the architecture's library directory; "*.so.*" for all
 * libraries in it. CRIU must be 4.2.1 or later: older ones fail on kernels of today, which is why the suite is forky.
 */
export const CONTENTS: Readonly<Record<string, readonly string[]>> = {
  // Programs
  "busybox-static": ["usr/bin/busybox"],
  criu: ["usr/sbin/criu"],
  tar: ["usr/bin/tar"],
  // busybox's knows no cgroup namespaces.
  "util-linux": ["usr/bin/unshare"],
  zstd: ["usr/bin/zstd"],
  lzop: ["usr/bin/lzop"],
  gdbserver: ["usr/bin/gdbserver"],
  // The C library, with what gdbserver needs to know threads.
  libc6: ["LIB/ld-linux-*", "LIB/libc.so.6", "LIB/libm.so.6", "LIB/libthread_db.so.1", "usr/lib64/*", "usr/lib/ld-linux-*"],
  // Libraries of criu
  libbsd0: ["LIB/*.so.*"],
  libmd0: ["LIB/*.so.*"],
  libgnutls30t64: ["LIB/*.so.*"],
  "libp11-kit0": ["LIB/*.so.*"],
  "libidn2-0": ["LIB/*.so.*"],
  libunistring5: ["LIB/*.so.*"],
  "libtasn1-6": ["LIB/*.so.*"],
  libhogweed6t64: ["LIB/*.so.*"],
  libnettle8t64: ["LIB/*.so.*"],
  libgmp10: ["LIB/*.so.*"],
  libffi8: ["LIB/*.so.*"],
  libnftables1: ["LIB/*.so.*"],
  libmnl0: ["LIB/*.so.*"],
  libnftnl11: ["LIB/*.so.*"],
  libxtables12: ["LIB/libxtables.so.*"],
  libjansson4: ["LIB/*.so.*"],
  "libprotobuf-c1": ["LIB/*.so.*"],
  "libnl-3-200": ["LIB/libnl-3.so.*"],
  libnet9: ["LIB/*.so.*"],
  libuuid1: ["LIB/*.so.*"],
  // Of tar
  libacl1: ["LIB/*.so.*"],
  libselinux1: ["LIB/*.so.*"],
  "libpcre2-8-0": ["LIB/*.so.*"],
  // Of zstd and lzop
  zlib1g: ["LIB/*.so.*"],
  liblzma5: ["LIB/*.so.*"],
  "liblz4-1": ["LIB/*.so.*"],
  libxxhash0: ["LIB/*.so.*"],
  "liblzo2-2": ["LIB/*.so.*"],
  // Of gdbserver
  "libstdc++6": ["LIB/*.so.*"],
  "libgcc-s1": ["LIB/*.so.*"],
  // Texts: where the copyright files of libraries of GCC are, and the licences that copyright files name.
  "gcc-16-base": [],
  "base-files": ["usr/share/common-licenses/*"],
};
