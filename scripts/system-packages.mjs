// Other people's programs that the interop tests run. `npm test` calls this: on a Debian or Ubuntu machine where it is root
// it installs what is missing, anywhere else it says what is missing and what that costs. It never asks.
import { spawnSync } from 'node:child_process';

/** Debian's package, a command that ends with 0 where its content is at hand, and what is not tested without it. */
const packages = /** @type {const} */ ([
  ['openssl', 'command -v openssl', 'that OpenSSL reads what we issue, and we what it asks for'],
  ['gnutls-bin', 'command -v certtool', 'requests made by GnuTLS'],
  ['strongswan-pki', 'command -v pki', 'requests made by strongSwan'],
  [
    'libstrongswan-standard-plugins',
    'test -e /usr/lib/ipsec/plugins/libstrongswan-openssl.so',
    'elliptic curves by strongSwan',
  ],
  ['curl', 'command -v curl', 'enrollment with curl'],
  ['jq', 'command -v jq', 'that OpenSSL verifies a snapshot by the lines of the manual'],
  ['ca-certificates', 'test -s /etc/ssl/certs/ca-certificates.crt', 'curl with a trust store of its own'],
  [
    'python3-cryptography',
    '/usr/bin/python3 -c "import cryptography"',
    'checkers from outside (npm run conformance)',
  ],
  [
    'python3-asn1crypto',
    '/usr/bin/python3 -c "import asn1crypto"',
    'checkers from outside (npm run conformance)',
  ],
  ['faketime', 'command -v faketime', 'a clock that jumps'],
  ['nginx-light', 'test -x /usr/sbin/nginx', "a device's certificate that nginx forwards"],
  [
    'mosquitto-clients',
    'command -v mosquitto_pub',
    "that real clients get through a broker's gate, or do not",
  ],
  ['rabbitmq-server', 'test -x /usr/lib/rabbitmq/bin/rabbitmq-server', 'the gate at RabbitMQ'],
  ['haproxy', 'test -x /usr/sbin/haproxy', "a device's certificate that HAProxy forwards"],
  ['mosquitto', 'test -x /usr/sbin/mosquitto', 'the gate inside Mosquitto'],
  ['mosquitto-clients', 'command -v mosquitto_sub', 'the gate inside Mosquitto'],
  ['mosquitto-dev', 'test -f /usr/include/mosquitto_plugin.h', "Mosquitto's plugin"],
  ['libmosquitto-dev', 'test -f /usr/include/mosquitto.h', "Mosquitto's plugin"],
  ['libssl-dev', 'test -f /usr/include/openssl/evp.h', "Mosquitto's plugin"],
  ['gcc', 'command -v cc', "Mosquitto's plugin"],
  ['make', 'command -v make', "Mosquitto's plugin"],
  ['libc6-dev', 'test -f /usr/include/stdio.h', "Mosquitto's plugin"],
  ['dante-server', 'test -x /usr/sbin/danted', 'a device behind a SOCKS proxy'],
  ['tinyproxy-bin', 'test -x /usr/bin/tinyproxy', 'a device behind an HTTP proxy'],
  ['softhsm2', 'test -f /usr/lib/softhsm/libsofthsm2.so', "a device's key in a token"],
  [
    'libengine-pkcs11-openssl',
    'test -e "$(openssl version -e | cut -d\\" -f2)/pkcs11.so"',
    "TLS with a device's key in a token",
  ],
  ['g++', 'command -v g++', 'pkcs11js, which is compiled for keys in tokens'],
  ['strace', 'command -v strace', 'an agent that is killed at each of its steps on disk'],
  ['valgrind', 'command -v valgrind', "whether Mosquitto's plugin loses memory"],
]);

let missing = findMissing();
if (missing.length > 0 && process.getuid?.() === 0 && succeeds('apt-get', ['--version'])) {
  const names = missing.map(([name]) => name);
  console.error(`birthmark: installing ${names.join(' ')} with apt-get, for the tests`);
  apt(['update']);
  apt(['install', '--yes', '--no-install-recommends', ...names]);
  missing = findMissing();
}
if (missing.length > 0) {
  console.error('birthmark: tests that need these Debian packages are skipped:');
  for (const [name, , loss] of missing) console.error(`  ${name.padEnd(22)}${loss}`);
}

/** The rows of `packages` whose command does not find them, however they were installed. */
function findMissing() {
  return packages.filter(([, proof]) => !succeeds('sh', ['-c', proof]));
}

/** @param {readonly string[]} words */
function apt(words) {
  // Runlevel 1 keeps packages from starting their daemons: the tests start their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', PREVLEVEL: 'N' };
  spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...words], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/**
 * @param {string} program
 * @param {readonly string[]} words
 */
function succeeds(program, words) {
  return spawnSync(program, words, { stdio: 'ignore' }).status === 0;
}
