# shellcheck shell=bash
# Two TLS registries on `control`: an open one that holds the test images, and an empty one that wants a password.

registries() {
  service_running control registry && service_running control private-registry && return
  registry_serve registry "$REGISTRY" ''
  echo 'test:$2b$05$989D5Ig2O91301yi7zaPVubsIJl.X1lHR9PZTERqa6b0awXeBgnKS' >"$RUN/machines/control/htpasswd" # test-password
  registry_serve private-registry "$PRIVATE_REGISTRY" "auth: {htpasswd: {realm: test, path: $RUN/machines/control/htpasswd}}"
  registry_fill
}

registry_serve() { # registry_serve NAME ADDRESS EXTRA-CONFIGURATION
  local config=$RUN/machines/control/$1.yml
  cat >"$config" <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: /var/lib/$1}, delete: {enabled: true}}
http: {addr: "$2", tls: {certificate: $RUN/pki/registry.crt, key: $RUN/pki/registry.key}}
$3
END
  service_running control "$1" || service_start control "$1" docker-registry serve "$config"
}

# preserve-digests: skopeo would compress the layers again, which takes longer than to send them.
registry_fill() {
  local image
  for image in busybox tools plain apps; do
    service_wait control registry in_machine control \
      skopeo --insecure-policy copy --quiet --preserve-digests "oci:$IMAGES/$image" "docker://$REGISTRY/$image:1"
  done
}
