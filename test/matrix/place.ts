// Imported before the harness: the runtimes are tried on a cluster of their own, beside the one that the other tests use.
process.env["CLUSTER_NUMBER"] ??= "1";
