import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from 'mqtt';
import { expect, onTestFinished, test } from 'vitest';
import { EXTENDED_KEY_USAGE, subjectAltName } from '../../src/x509/extensions.ts';
import { makeAuthority, makeCertificate } from '../x509/path/make-certificate.ts';
import { keyPem, pem } from './adapters/aedes-house.ts';
import { named } from './lab.ts';

const DAY = 86_400_000;
const TODAY = { notBefore: Date.now() - DAY, notAfter: Date.now() + DAY };
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

/** A server of somebody else: plain JavaScript that knows what the package exports, and nothing of what is in it. */
const SERVER = `
import { createServer } from 'node:tls';
import { randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { assembleGate, parsePolicy } from 'birthmark/broker-auth';
import { openAedesBroker } from 'birthmark/broker-auth/aedes';

const der = (file) => new X509Certificate(readFileSync(file)).raw;
const policy = parsePolicy(
  { listeners: { mqtt: {} }, roles: [{ name: 'device', publish: ['devices/\${id}/#'] }] },
  [{ namespace: 'own', anchors: [der('root.pem')], intermediates: [] }],
);
const { door } = await openAedesBroker({ broker: 'mine', onFault: console.error });
const { gate } = assembleGate({
  policy,
  sources: [{ name: 'feed', statusOf: () => ({ status: 'good', ageMs: 0 }) }],
  drivers: [door.driver],
  clock: () => Date.now(),
  random: randomBytes,
  onError: console.error,
});
door.guard(gate);
setInterval(() => gate.tick(), 1000);
const server = createServer(
  { cert: readFileSync('server.pem'), key: readFileSync('server.key'), requestCert: true, rejectUnauthorized: false },
  (socket) => door.accept('mqtt', socket),
);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

test('a plain Node server can put the gate into its own broker', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-library-'));
  // What \`npm install ../birthmark\` does: the package is run from its own folder, where Node strips types.
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(PACKAGE, path.join(folder, 'node_modules', 'birthmark'));
  const root = makeAuthority({ cn: 'root', fields: TODAY });
  const server = makeCertificate({
    issuer: root,
    purposes: [EXTENDED_KEY_USAGE.serverAuth],
    extra: [subjectAltName([{ kind: 'dns', name: 'localhost' }])],
    fields: TODAY,
  });
  const device = makeCertificate({ issuer: root, fields: { ...named('SN-1').fields, ...TODAY } });
  const files = { 'root.pem': pem(root.der), 'server.pem': pem(server.der), 'server.key': keyPem(server) };
  for (const [name, content] of Object.entries({ ...files, 'server.mjs': SERVER }))
    writeFileSync(path.join(folder, name), content);
  const child = spawn(process.execPath, ['server.mjs'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill();
    rmSync(folder, { recursive: true });
  });
  const [port] = await once(child.stdout, 'data');

  const answer = (clientId: string): Promise<string> =>
    new Promise((resolve) => {
      const client = connect(`mqtts://localhost:${String(port).trim()}`, {
        clientId,
        ca: pem(root.der),
        cert: pem(device.der),
        key: keyPem(device),
        reconnectPeriod: 0,
      });
      client.once('connect', () => resolve('let in'));
      client.once('error', (error) => resolve(error.message));
      onTestFinished(() => void client.end(true));
    });
  expect(await answer('SN-1')).toBe('let in');
  expect(await answer('SN-2')).toContain('Identifier rejected');
});
