#!/usr/bin/env bash
# The certificates of the recipe, the way guides for the Collector make them: openssl, a CA, a
# server leaf with a SAN, and a client leaf signed without an extensions file.
set -euo pipefail
cd "$1"
openssl genrsa -out ca.key 2048
openssl req -x509 -new -nodes -key ca.key -sha256 -days 365 -out ca.crt -subj "/CN=My-CA"

openssl genrsa -out server.key 2048
openssl req -new -key server.key -out server.csr -subj "/CN=otel-collector"
printf 'subjectAltName=DNS:otel-collector,DNS:localhost,IP:127.0.0.1\n' > server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 365 -sha256 \
    -extfile server.ext

openssl genrsa -out client.key 2048
openssl req -new -key client.key -out client.csr -subj "/CN=otel-client"
openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out client.crt -days 365 -sha256
