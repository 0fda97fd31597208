import { spawn } from 'node:child_process';
import { createServer } from 'node:tls';
import { EXTENDED_KEY_USAGE, subjectAltName } from '../src/x509/extensions.ts';
import { toPem } from '../src/x509/pem.ts';
import { makeAuthority, makeCertificate, type Party } from '../test/x509/path/make-certificate.ts';

const WARM_UP = 50;
const HANDSHAKES = 300;
const DAY = 86_400_000;

/** A client of its own process, so that only the server's side is counted here; a full handshake each time. */
const CLIENT = `
const { connect } = require('node:tls');
const { port, ca, cert, key, count } = JSON.parse(process.argv[1]);
let left = count;
const next = () => {
  if (left-- === 0) return;
  const socket = connect({ host: '127.0.0.1', port, ca, cert, key, servername: 'localhost' });
  socket.on('error', (error) => { console.error(error); process.exit(1); });
  socket.once('data', () => { socket.destroy(); next(); });
};
next();
`;

/** Microseconds of processor time that the server of a mutual TLS 1.3 handshake takes, both on P-256. */
export async function handshakeCost(): Promise<number> {
  const today = { notBefore: Date.now() - DAY, notAfter: Date.now() + DAY };
  const root = makeAuthority({ cn: 'root', fields: today });
  const server = makeCertificate({
    issuer: root,
    purposes: [EXTENDED_KEY_USAGE.serverAuth],
    extra: [subjectAltName([{ kind: 'dns', name: 'localhost' }])],
    fields: today,
  });
  const client = makeCertificate({ issuer: root, fields: today });
  const listener = createServer(
    { ...identity(server), ca: pem(root), requestCert: true, rejectUnauthorized: false },
    (socket) => {
      socket.on('error', () => undefined);
      socket.end('x');
    },
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const place = listener.address();
  const port = typeof place === 'object' && place !== null ? place.port : 0;
  const connectAll = (count: number) =>
    new Promise<void>((resolve, reject) => {
      const told = JSON.stringify({ port, ca: pem(root), ...identity(client), count });
      const child = spawn(process.execPath, ['--eval', CLIENT, told], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error('a handshake failed'))));
    });
  await connectAll(WARM_UP);
  const begun = process.cpuUsage();
  await connectAll(HANDSHAKES);
  const { user, system } = process.cpuUsage(begun);
  listener.close();
  return (user + system) / HANDSHAKES;
}

function identity(party: Party) {
  const key = party.key.privateKey.export({ type: 'pkcs8', format: 'pem' });
  return { cert: pem(party), key };
}

function pem({ der }: Party): string {
  return toPem('CERTIFICATE', der);
}
