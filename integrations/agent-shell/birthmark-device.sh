#!/bin/sh
# The device's side for a device that has a shell, curl and OpenSSL, and nothing else: EST (RFC 7030) with files.
#
#   birthmark-device.sh enroll     by a ticket (TICKET_FILE, SERIAL_NUMBER) or an IDevID (IDEVID_CERT, IDEVID_KEY)
#   birthmark-device.sh renew      where less than a third of the validity is left, or with "renew now"; for cron, once an hour
#
# From the environment: URL (https://pki.example.com:8443), CA (the root, PEM), STATE (a folder). PROXY is curl's --proxy
# (socks5h://10.0.0.1:1080); a password for it belongs into a file that CURL_CONFIG names (curl --config). AFTER_CHANGE is a command.
#
# STATE/current is a link to the folder of key.pem and certificate.pem (the chain with it), and changes in one step. What is being
# obtained is in STATE/next: its key is kept until the certificate is there, so a lost answer is repaired by asking again.
# A new credential is current before the authority has seen it in use, and STATE/previous is what was current until it worked: docs/agent.md.
# Ends with 0 where there is nothing more to do, with 75 where it is to be tried again later, with 1 where it was refused.
set -eu
umask 077

: "${URL:?}" "${CA:?}" "${STATE:?}"
est="$URL/.well-known/est"
later=75

say() { printf '%s\n' "birthmark-device: $*" >&2; }

# curl with what every request needs; the answer goes to $STATE/answer, its status to standard output.
ask() {
  curl --silent --show-error --cacert "$CA" --max-time 60 --max-filesize 262144 --proto '=https' \
    ${PROXY:+--proxy "$PROXY"} ${CURL_CONFIG:+--config "$CURL_CONFIG"} \
    --dump-header "$STATE/headers" --output "$STATE/answer" --write-out '%{http_code}' "$@" || { say 'no answer'; exit $later; }
}

# The certificates of an answer, PEM. Only base64 is base64.
certificates() {
  tr -d ' \t\r\n' < "$STATE/answer" > "$STATE/base64"
  if grep -q '[^A-Za-z0-9+/=]' "$STATE/base64"; then say 'the answer is not base64'; exit $later; fi
  openssl base64 -d -A -in "$STATE/base64" | openssl pkcs7 -inform DER -print_certs |
    sed -n '/-----BEGIN/,/-----END/p'
}

# Makes $2 a link to $1 in one step, on the disk.
point() {
  ln -sfn "$1" "$STATE/$2.new"
  mv -T "$STATE/$2.new" "$STATE/$2"
  sync "$STATE"
}

# A key in a folder that next names; the one that is there already, if a run before did not come to its end.
begin() {
  if [ -s "$STATE/next/key.pem" ]; then return; fi
  folder="credential-$(openssl rand -hex 8)"
  mkdir -p "$STATE/$folder"
  openssl ecparam -name prime256v1 -genkey -noout -out "$STATE/$folder/key.new"
  mv "$STATE/$folder/key.new" "$STATE/$folder/key.pem"
  sync "$STATE/$folder/key.pem" "$STATE/$folder" "$STATE"
  point "$folder" next
}

# Asks at $1 for a certificate for next's key; the rest is curl's: who asks.
obtain() {
  operation="$1"
  shift
  openssl base64 -A -in "$STATE/request.der" -out "$STATE/request"
  status=$(ask --header 'Content-Type: application/pkcs10' --data-binary "@$STATE/request" "$@" "$est/$operation")
  case "$status" in
    200) ;;
    202 | 408 | 429 | 5??) say "later ($status): $(head -c 300 "$STATE/answer")"; exit $later ;;
    *) say "refused ($status): $(head -c 300 "$STATE/answer")"; exit 1 ;;
  esac
  certificates > "$STATE/leaf.pem"
  ask "$est/cacerts" > /dev/null
  certificates > "$STATE/cas.pem"
  # Our key, and a path to the root that we trust: what else came is not believed.
  [ "$(openssl x509 -in "$STATE/leaf.pem" -noout -pubkey)" = "$(openssl pkey -in "$STATE/next/key.pem" -pubout)" ] ||
    { say 'the certificate is for another key'; exit 1; }
  openssl verify -x509_strict -purpose sslclient -CAfile "$CA" -untrusted "$STATE/cas.pem" "$STATE/leaf.pem" > /dev/null ||
    { say 'the certificate does not hold'; exit 1; }
  cat "$STATE/leaf.pem" "$STATE/cas.pem" > "$STATE/next/certificate.new"
  sync "$STATE/next/certificate.new"
  mv "$STATE/next/certificate.new" "$STATE/next/certificate.pem"
  sync "$STATE/next/"
}

# Shows next at the authority without using it; where TLS takes it there it becomes the current one, on trial.
take_over() {
  set -- --cert "$STATE/next/certificate.pem" --key "$STATE/next/key.pem"
  status=$(ask "$@" "$URL/api/v1/confirmations")
  if [ "$status" = 404 ]; then status=$(ask "$@" "$est/cacerts"); fi
  [ "$status" = 200 ] || { say "the new credential does not work ($status): $(head -c 300 "$STATE/answer")"; exit $later; }
  : > "$STATE/next/on-trial"
  sync "$STATE/next/"
  if [ -e "$STATE/current" ]; then point "$(readlink "$STATE/current")" previous; fi
  point "$(readlink "$STATE/next")" current
  try_current
}

# Tells who uses the credential, then the authority: by a challenge signed with its key where there is such an address. From then
# on the authority takes the one before for retired. Refused it is current no more; while nobody answers it stays.
try_current() {
  rm -f "$STATE/next"
  tell_change
  set -- --cert "$STATE/current/certificate.pem" --key "$STATE/current/key.pem"
  status=$(ask "$@" "$URL/api/v1/confirmations")
  if [ "$status" = 200 ]; then
    challenge=$(sed -n 's/.*"challenge":"\([a-z0-9-]*\)".*/\1/p' "$STATE/answer")
    openssl req -new -key "$STATE/current/key.pem" -subj "/CN=$challenge" -outform DER -out "$STATE/request.der"
    printf '{"csr":"%s"}' "$(openssl base64 -A -in "$STATE/request.der")" > "$STATE/request"
    status=$(ask "$@" --header 'Content-Type: application/json' --data-binary "@$STATE/request" "$URL/api/v1/confirmations")
  elif [ "$status" = 404 ]; then
    status=$(ask "$@" "$est/cacerts")
  fi
  case "$status" in
    200) ;;
    408 | 429 | 5??) say "nobody says whether the new credential works ($status)"; exit $later ;;
    *) say "the new credential does not work ($status): $(head -c 300 "$STATE/answer")"; go_back; exit 1 ;;
  esac
  rm -f "$STATE/current/on-trial"
  sync "$STATE/current/"
  tidy
  for name in answer base64 headers request request.der leaf.pem cas.pem; do rm -f "$STATE/$name"; done
  say "the credential is in $STATE/current"
}

go_back() {
  if [ -e "$STATE/previous" ]; then point "$(readlink "$STATE/previous")" current; else rm -f "$STATE/current"; fi
  tidy
  if [ -e "$STATE/current" ]; then tell_change; fi
}

# Removes what is not used any more, and what a power cut left.
tidy() {
  rm -f "$STATE/previous"
  for folder in "$STATE"/credential-*; do
    for link in current next; do
      if [ "$(readlink "$STATE/$link" || true)" = "${folder##*/}" ]; then continue 2; fi
    done
    rm -rf "$folder"
  done
}

tell_change() {
  if [ -n "${AFTER_CHANGE:-}" ]; then sh -c "$AFTER_CHANGE"; fi
}

enroll() {
  if [ -e "$STATE/current/on-trial" ]; then try_current; return; fi
  tidy
  if [ -s "$STATE/current/certificate.pem" ]; then say 'there is a credential already'; return; fi
  begin
  if [ -s "$STATE/next/certificate.pem" ]; then take_over; return; fi
  if [ -n "${IDEVID_CERT:-}" ]; then
    serial_number=$(openssl x509 -in "$IDEVID_CERT" -noout -subject -nameopt multiline | sed -n 's/^ *serialNumber *= *//p')
    set -- --cert "$IDEVID_CERT" --key "${IDEVID_KEY:?}"
  else
    serial_number="${SERIAL_NUMBER:?}"
    # In a file, since others can read the command line; serial numbers with a quote or a backslash are not for this script.
    printf 'user = "%s:%s"\n' "$serial_number" "$(tail -n 1 "${TICKET_FILE:?}")" > "$STATE/user"
    set -- --config "$STATE/user"
  fi
  openssl req -new -key "$STATE/next/key.pem" -subj "/serialNumber=$serial_number" -outform DER -out "$STATE/request.der"
  obtain simpleenroll "$@"
  rm -f "$STATE/user"
  take_over
}

# Whether less than a third of the validity is left.
is_due() {
  from=$(date -d "$(openssl x509 -in "$STATE/current/certificate.pem" -noout -startdate | cut -d= -f2)" +%s)
  until=$(date -d "$(openssl x509 -in "$STATE/current/certificate.pem" -noout -enddate | cut -d= -f2)" +%s)
  [ $((until - $(date +%s))) -lt $(((until - from) / 3)) ]
}

renew() {
  if [ -e "$STATE/current/on-trial" ]; then try_current; return; fi
  tidy
  [ -s "$STATE/current/certificate.pem" ] || { say 'there is nothing to renew: enroll first'; exit 1; }
  if [ "${1:-}" != now ] && [ ! -e "$STATE/next" ] && ! is_due; then return; fi
  begin
  if [ -s "$STATE/next/certificate.pem" ]; then take_over; return; fi
  # The subject must be the certificate's (RFC 7030 4.2.2); one with a subjectAltName too is not for this script.
  subject=$(openssl x509 -in "$STATE/current/certificate.pem" -noout -subject -nameopt sname,sep_multiline,utf8 |
    sed -n 's#[\\/+]#\\&#g; s#^    ##p' | sed 's#^#/#' | tr -d '\n')
  openssl req -new -utf8 -key "$STATE/next/key.pem" -subj "$subject" -outform DER -out "$STATE/request.der"
  obtain simplereenroll --cert "$STATE/current/certificate.pem" --key "$STATE/current/key.pem"
  take_over
}

mkdir -p "$STATE"
exec 9> "$STATE/lock"
if command -v flock > /dev/null; then flock -n 9 || { say 'another one is at work'; exit $later; }; fi
case "${1:-}" in
  enroll) enroll ;;
  renew) renew "${2:-}" ;;
  *) say 'enroll or renew'; exit 2 ;;
esac
