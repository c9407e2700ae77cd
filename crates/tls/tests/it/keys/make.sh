#!/bin/sh
# Made the files of this folder, with OpenSSL 3.0. They secure nothing.
set -e
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem
openssl ec -in p256.pem -out p256-sec1.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl rsa -in rsa.pem -traditional -out rsa-pkcs1.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.pem
openssl genpkey -algorithm ED25519 -out ed25519.pem
openssl pkey -in p256.pem -aes256 -passout pass:secret -out encrypted.pem
openssl rsa -in rsa.pem -traditional -aes128 -passout pass:secret -out encrypted-pkcs1.pem
openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsaparam.pem
openssl gendsa -out dsa-pkcs8.pem dsaparam.pem
openssl pkey -in dsa-pkcs8.pem -traditional -out dsa.pem
rm dsaparam.pem dsa-pkcs8.pem
for key in p256 p384 rsa ed25519; do
  openssl req -x509 -key "$key.pem" -days 36500 -subj "/O=Test/CN=$key.example" -addext "subjectAltName=DNS:$key.example" \
    -addext basicConstraints=critical,CA:FALSE -out "$key-cert.pem"
done
openssl x509 -in p256-cert.pem -outform DER -out p256-cert.der
openssl pkcs8 -topk8 -nocrypt -in p256.pem -outform DER -out p256.der
openssl ec -in p256.pem -outform DER -out p256-sec1.der
openssl rsa -in rsa.pem -traditional -outform DER -out rsa-pkcs1.der
openssl pkcs8 -topk8 -nocrypt -in ed25519.pem -outform DER -out ed25519.der
openssl pkcs8 -topk8 -in p256.pem -passout pass:secret -outform DER -out encrypted.der
