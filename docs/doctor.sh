#!/usr/bin/env bash
# Writes docs/doctor.md: every transcript is a run of the program that is named as the argument.
#
#   docs/doctor.sh target/debug/portcullis > docs/doctor.md
#
# Needs openssl, curl, and root for the transcript of the unreadable key.
set -euo pipefail
portcullis=$(realpath "$1")
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"

{
    "$portcullis" certs ca --dir . --name "Shop CA"
    "$portcullis" certs server --dir . --san localhost --san 127.0.0.1
    "$portcullis" certs client --dir . --name shop
    mkdir backend other
    "$portcullis" certs ca --dir backend --name "Backend CA"
    "$portcullis" certs server --dir backend --san backend.example
    "$portcullis" certs ca --dir other --name "Other CA"
    "$portcullis" certs client --dir other --name visitor
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout v1.key -out v1.csr -subj /CN=v1
    openssl x509 -req -in v1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 90 -out v1.crt
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout eku.key -out eku.csr -subj /CN=eku
    printf 'extendedKeyUsage=serverAuth\n' >eku.ext
    openssl x509 -req -in eku.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 90 -extfile eku.ext -out eku.crt
    "$portcullis" certs client --dir . --name till
    "$portcullis" certs client --dir other --name newcomer
    cat ca.crt other/ca.crt >both.crt
    printf '[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=7\n' >crl.cnf
    : >index.txt
    echo 0F >number
    openssl ca -config crl.cnf -cert ca.crt -keyfile ca.key -revoke till.crt
    openssl ca -config crl.cnf -cert ca.crt -keyfile ca.key -gencrl -out ca.crl
    cat ca.crt shop.crt >reversed.crt
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout old.key -out old.csr -subj /CN=old
    printf 'extendedKeyUsage=clientAuth\n' >old.ext
    openssl x509 -req -in old.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days -1 -extfile old.ext -out old.crt
} >log 2>&1 || { cat log >&2; exit 1; }

config() { # KEY_FILE EXPORTER
    cat >gateway.yaml <<YAML
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:4317
        tls: { cert_file: server.crt, key_file: $1, client_ca_file: ca.crt }
exporters:
  $2
service:
  pipelines:
    traces: { receivers: [otlp], exporters: [${2%%:*}] }
YAML
}

show() { # COMMAND...
    printf '\n```console\n$ portcullis %s\n' "$*"
    local code=0
    "${as[@]}" "$portcullis" "$@" 2>&1 || code=$?
    printf '$ echo $?\n%s\n```\n' "$code"
}
as=()

serve() { # CERT KEY OPTIONS...: waits for the port that the system chose
    : >server.log
    openssl s_server -www -accept 127.0.0.1:0 -cert "$1" -key "$2" "${@:3}" >server.log 2>&1 &
    server=$!
    until port=$(sed -n 's/^ACCEPT 127\.0\.0\.1:\([0-9]*\).*/\1/p' server.log) && [ -n "$port" ]; do
        kill -0 "$server" || { cat server.log >&2; exit 1; }
        read -rt 0.05 _ <> <(:) || true
    done
}

cat <<'TEXT'
# The doctor

`portcullis doctor` judges every certificate, key and CA of a configuration with the code of the
gateway itself, and says what to do. `portcullis doctor --help` lists its questions; this page shows
its answers to common mistakes and questions. `docs/doctor.sh` wrote it from real runs.

Here is what it says when all is well:
TEXT
config server.key 'nop:'
show doctor --config gateway.yaml --client shop.crt

printf '\n## The upstream has another name\n'
serve backend/server.crt backend/server.key -alpn h2
config server.key "otlp_grpc: { endpoint: 'localhost:$port', tls: { ca_file: backend/ca.crt } }"
show doctor --config gateway.yaml --upstream
kill "$server"; wait "$server" 2>/dev/null || true

printf '\n## The client is of another CA\n'
config server.key 'nop:'
show doctor --config gateway.yaml --client other/visitor.crt

printf '\n## The client has expired\n'
show doctor --config gateway.yaml --client old.crt

printf '\n## The client is in X.509 v1 form\n\nThe recipe `openssl x509 -req` without extensions makes such a certificate.\n'
show doctor --config gateway.yaml --client v1.crt
printf '\nAnd under `strict_x509`:\n'
show doctor --config gateway.yaml --client v1.crt --set receivers.otlp.protocols.grpc.tls.strict_x509=true

printf '\n## The key belongs to another certificate\n'
config shop.key 'nop:'
show doctor --config gateway.yaml

printf '\n## The client lacks the extended key usage\n'
config server.key 'nop:'
show doctor --config gateway.yaml --client eku.crt

printf '\n## The key cannot be read\n\nThe files were made by root with mode 0600; the gateway runs as another user.\n'
as=(setpriv --reuid=65532 --regid=65532 --clear-groups)
cp "$portcullis" ./portcullis && chmod 755 portcullis && portcullis=$work/portcullis
show doctor --config gateway.yaml
as=()

printf '\n## The upstream does not speak HTTP/2 (no ALPN)\n'
serve backend/server.crt backend/server.key
config server.key "otlp_grpc: { endpoint: 'localhost:$port', tls: { ca_file: backend/ca.crt, server_name_override: backend.example } }"
show doctor --config gateway.yaml --upstream
kill "$server"; wait "$server" 2>/dev/null || true

printf '\n## The client is on a revocation list\n'
config server.key 'nop:'
show doctor --config gateway.yaml --client till.crt --set receivers.otlp.protocols.grpc.tls.client_crl_file=ca.crl
printf '\nA bundle with a CA that has no list, which would lock out all of its clients:\n'
show doctor --config gateway.yaml --set receivers.otlp.protocols.grpc.tls.client_crl_file=ca.crl --set receivers.otlp.protocols.grpc.tls.client_ca_file=both.crt

printf '\n## Certificates are only reported\n'
show doctor --config gateway.yaml --client other/visitor.crt --set receivers.otlp.protocols.grpc.tls.client_auth=report_only

printf '\n## The chain is the wrong way round\n'
show doctor --config gateway.yaml --client reversed.crt

printf '\n## A change of the client CA\n\nThe gateway runs, with the `zpages` extension, and has seen three clients. What if the old CA is taken out?\n'
pages=127.0.0.1:$((20000 + RANDOM % 10000))
echo "extensions: { zpages: { endpoint: '$pages' } }" >>gateway.yaml
sed -i 's/127.0.0.1:4317/127.0.0.1:0/; s/client_ca_file: ca.crt/client_ca_file: both.crt/; s/^service:/service:\n  extensions: [zpages]\n  telemetry: { metrics: { level: none } }/' gateway.yaml
"$portcullis" --config gateway.yaml 2>gateway.log & server=$!
until grep -q listeners gateway.log; do
    kill -0 "$server" || { cat gateway.log >&2; exit 1; }
    read -rt 0.05 _ <> <(:) || true
done
port=$(sed -n 's/.*grpc 127\.0\.0\.1:\([0-9]*\) .*/\1/p' gateway.log)
for client in shop till other/newcomer; do
    openssl s_client -connect "127.0.0.1:$port" -alpn h2 -cert $client.crt -key $client.key -CAfile ca.crt </dev/null >>log 2>&1
done
until [ "$(curl -s "$pages/debug/clientsz" | grep -o '"sha256"' | wc -l)" = 3 ]; do
    read -rt 0.05 _ <> <(:) || true
done
show doctor --config gateway.yaml --new-ca other/ca.crt
printf '\nWith both CAs nobody breaks:\n'
show doctor --config gateway.yaml --new-ca both.crt

cat <<'TEXT'

## For programs

`--format json` writes one object, also when all is well:

| Key | What it holds |
| --- | --- |
| `ok` | `true` without a problem, and the exit code is 0 then |
| `problems`, `warnings` | how many |
| `sections` | a list, in the order of the text |
| `sections[].check` | which question it answers: `files`, `client`, `new_ca`, `upstream` |
| `sections[].subject` | what it is about: a `tls` block, a file, an exporter and its endpoint |
| `sections[].findings[]` | `level` (`ok`, `warning`, `problem`), `what` was looked at, `reason` (a stable code, empty with `ok`), `message`, `next` (what to do; may be empty) |

Codes and keys stay; keys may be added. The words of `what`, `message` and `next` may change.
TEXT
