// The gate alone, with statuses from lists and OCSP answers: of a CA that OpenSSL keeps, and of a house, without its feed.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { useHouse } from '../use-house.ts';
import { type GateProcess, issueDevice, startGate, until, writeSecret } from './gate.ts';
import { createOpensslCa, type OpensslCa } from './openssl-ca.ts';

const house = useHouse();
const SECRET = 'k'.repeat(40);

let gate: GateProcess | undefined;
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(gate?.log());
  await gate?.stop();
  gate = undefined;
});
beforeAll(() => {
  writeSecret(house(), 'emqx.secret', SECRET);
});

// What is asked again and again here looks like two devices of one identity: without the guard's rules, only statuses deny.
const rules = (listener = '') => `
[guard]
rules = []
[http.emqx]
listener = "devices"
secretFile = "emqx.secret"
withoutKicks = true
[listeners.devices]
${listener}
[[roles]]
name = "device"
publish = ["devices/\${id}/#"]
`;

async function start(status: string, trust: string, listener = ''): Promise<GateProcess> {
  gate = await startGate(house(), `${rules(listener)}\n[status]\nfolder = "status"\n${status}\n${trust}`);
  return gate;
}

async function connect(to: GateProcess, cert: string, clientid: string): Promise<string> {
  const body = { clientid, username: '', peerhost: '192.0.2.7', peerport: 40_000, cert };
  const [, text] = await to.ask('/emqx/authn', body, { authorization: `Bearer ${SECRET}` });
  return (JSON.parse(text) as { readonly result: string }).result;
}

const becomes = (to: GateProcess, cert: string, id: string, word: string, withinMs?: number) =>
  until(async () => (await connect(to, cert, id)) === word, `${id}: ${word}`, withinMs);

let made = 0;
async function makeCa(): Promise<{ readonly ca: OpensslCa; readonly trust: string }> {
  made += 1;
  const ca = await createOpensslCa(house().folder, `openssl-${made}`);
  rmSync(path.join(house().folder, 'status'), { recursive: true, force: true });
  onTestFinished(() => ca.stop());
  return { ca, trust: `[[trust]]\nnamespace = "acme"\nanchorFiles = ["${ca.certificate}"]\n` };
}

describe('of lists that OpenSSL made', () => {
  const table = (ca: OpensslCa, file: string) =>
    `[[status.crls]]\nissuerFiles = ["${ca.certificate}"]\nfiles = ["${file}"]\neverySeconds = 1\n`;

  test('a full one says who is good and who is revoked, and is read again when it changes', async () => {
    const { ca, trust } = await makeCa();
    const [good, bad] = [await ca.device('a', 'SN-A'), await ca.device('b', 'SN-B')];
    await ca.revoke('b', 'keyCompromise');
    const file = await ca.list('full');
    const to = await start(table(ca, file), trust);
    await becomes(to, good, 'SN-A', 'allow');
    expect(await connect(to, bad, 'SN-B')).toBe('deny');
    await until(async () => (await to.get('/readyz'))[0] === 200, 'readiness');
    const [, metrics] = await to.get('/metrics');
    expect(metrics).toMatch(/birthmark_gate_list_entries\{issuer="[^"]*openssl-\d+[^"]*"\} 1/);
    expect(to.log()).toContain('"source":"crl"');

    await ca.revoke('a', 'superseded');
    await ca.list('full');
    await becomes(to, good, 'SN-A', 'deny');
    // Somebody puts the old one back, or half of one.
    await ca.list('full', { number: 1, database: 'empty.txt' });
    await until(() => to.log().includes('is below'), 'the fault');
    expect(await connect(to, good, 'SN-A')).toBe('deny');
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 200));
    await until(() => to.log().includes('lists cannot be read') || to.log().includes('PEM'), 'the fault');
    expect(await connect(to, bad, 'SN-B')).toBe('deny');
  });

  test('a delta adds to its base', async () => {
    const { ca, trust } = await makeCa();
    const [one, two] = [await ca.device('a', 'SN-A'), await ca.device('b', 'SN-B')];
    const base = await ca.list('base', { number: 5 });
    const file = path.join(ca.folder, 'lists.pem');
    writeFileSync(file, readFileSync(base));
    const to = await start(table(ca, file), trust);
    await becomes(to, one, 'SN-A', 'allow');
    await ca.revoke('a', 'keyCompromise');
    const delta = await ca.list('delta', { number: 7, extensions: ['2.5.29.27 = critical,DER:020105'] });
    writeFileSync(file, Buffer.concat([readFileSync(base), readFileSync(delta)]));
    await becomes(to, one, 'SN-A', 'deny');
    expect(await connect(to, two, 'SN-B')).toBe('allow');
  });

  test('a shard speaks of those that name it', async () => {
    const { ca, trust } = await makeCa();
    const [url, elsewhere] = ['http://crl.example/1.crl', 'http://crl.example/2.crl'];
    const [one, two] = [await ca.device('a', 'SN-A', url), await ca.device('b', 'SN-B', elsewhere)];
    const extensions = [
      'issuingDistributionPoint = critical,@idp',
      `[idp]\nfullname = URI:${url}\nonlyuser = TRUE`,
    ];
    const to = await start(table(ca, await ca.list('shard', { extensions })), trust);
    await becomes(to, one, 'SN-A', 'allow');
    expect(await connect(to, two, 'SN-B')).toBe('deny');
    expect(to.log()).toContain('none is for its distribution points');
  });

  test('of a CA of the same name is not believed', async () => {
    const { ca, trust } = await makeCa();
    const one = await ca.device('a', 'SN-A');
    const twin = await createOpensslCa(path.join(ca.folder), path.basename(ca.folder));
    const to = await start(table(ca, await twin.list('full')), trust);
    await until(() => to.log().includes('was not signed with the key'), 'the fault');
    expect(await connect(to, one, 'SN-A')).toBe('deny');
    expect((await to.get('/readyz'))[1]).toContain('there is no list');
  });

  test('explain and check say what the gate says', async () => {
    const { ca, trust } = await makeCa();
    const bad = await ca.device('b', 'SN-B');
    await ca.device('a', 'SN-A');
    await ca.revoke('b', 'keyCompromise');
    const to = await start(table(ca, await ca.list('full')), trust);
    await until(async () => (await to.get('/readyz'))[0] === 200, 'readiness');
    expect(await connect(to, bad, 'SN-B')).toBe('deny');
    const config = path.join(house().folder, 'gate.toml');
    const explain = (name: string, id: string) => {
      const words = ['--cert', path.join(ca.folder, `${name}.pem`), '--client-id', id];
      return house().birthmark(
        'broker-auth',
        'explain',
        '--config',
        config,
        '--listener',
        'devices',
        ...words,
      );
    };
    const good = await explain('a', 'SN-A');
    expect(good.out).toContain('good, as crl says');
    expect(good.status).toBe(0);
    const refused = await explain('b', 'SN-B');
    expect(refused.out).toContain('is revoked (keyCompromise)');
    expect(refused.status).toBe(1);
    expect(await house().must('broker-auth', 'check', '--config', config)).toContain('1 CA by lists');
  });
});

test('openssl ocsp is asked ahead, and heard', async () => {
  const { ca, trust } = await makeCa();
  const [good, bad] = [await ca.device('a', 'SN-A'), await ca.device('b', 'SN-B')];
  await ca.revoke('b', 'keyCompromise');
  const url = await ca.respond();
  const table = `[[status.ocsp]]\nissuerFiles = ["${ca.certificate}"]\nurl = "${url}"\neverySeconds = 1\n`;
  const to = await start(table, trust);
  // Nobody waits for an answer: the next time it is there.
  expect(await connect(to, good, 'SN-A')).toBe('deny');
  await becomes(to, good, 'SN-A', 'allow');
  expect(await connect(to, bad, 'SN-B')).toBe('deny');
  await until(() => to.log().includes('is revoked (keyCompromise)') || connectAgain(), 'the revocation');
  expect(to.log()).toContain('"source":"ocsp"');
  const [, metrics] = await to.get('/metrics');
  expect(metrics).toContain('birthmark_gate_ocsp_certificates{state="held"} 2');

  function connectAgain(): Promise<boolean> {
    return connect(to, bad, 'SN-B').then(() => false);
  }
});

describe('of a house, without its feed', () => {
  const trust = () => `
[[trust]]
namespace = "own"
anchorFiles = ["${house().pem('root')}"]
intermediateFiles = ["${house().pem('ldevid')}"]
`;
  const issuers = () => `issuerFiles = ["${house().pem('root')}", "${house().pem('ldevid')}"]`;
  const lists = (...urls: readonly string[]) =>
    `[[status.crls]]\n${issuers()}\nurls = [${['/crl/root.crl', ...urls].map((url) => `"${house().publicUrl}${url}"`).join(', ')}]\neverySeconds = 1\n`;

  test.each([
    ['its full list and the delta', ['/crl/ldevid.crl', '/crl/ldevid/delta.crl']],
    ['its shards', ['/crl/ldevid/{0-63}.crl']],
  ])('%s tell of a revocation, and of a hold and its end', async (name, urls) => {
    rmSync(path.join(house().folder, 'status'), { recursive: true, force: true });
    const prefix = name.includes('shards') ? 'SHARD' : 'DELTA';
    const device = await issueDevice(house(), `${prefix}-1`, `SN-${prefix}-1`);
    const held = await issueDevice(house(), `${prefix}-2`, `SN-${prefix}-2`);
    const to = await start(lists(...urls), trust());
    await becomes(to, device.der, `SN-${prefix}-1`, 'allow');
    await becomes(to, held.der, `SN-${prefix}-2`, 'allow');
    await house().must('revoke', '--serial', device.serial, '--reason', 'keyCompromise');
    await house().must('hold', '--serial', held.serial);
    await becomes(to, device.der, `SN-${prefix}-1`, 'deny');
    await becomes(to, held.der, `SN-${prefix}-2`, 'deny');
    await house().must('unhold', '--serial', held.serial);
    await becomes(to, held.der, `SN-${prefix}-2`, 'allow');
    expect(await connect(to, device.der, `SN-${prefix}-1`)).toBe('deny');
  });

  test('its OCSP responder tells of a revocation, and a stopped house is no hindrance', async () => {
    rmSync(path.join(house().folder, 'status'), { recursive: true, force: true });
    const device = await issueDevice(house(), 'OCSP-1', 'SN-OCSP-1');
    const other = await issueDevice(house(), 'OCSP-2', 'SN-OCSP-2');
    const table = `[[status.ocsp]]\n${issuers()}\nurl = "${house().publicUrl}/ocsp"\neverySeconds = 1\n`;
    const to = await start(table, trust());
    await becomes(to, device.der, 'SN-OCSP-1', 'allow');
    await becomes(to, other.der, 'SN-OCSP-2', 'allow');
    await house().must('revoke', '--serial', device.serial, '--reason', 'superseded');
    await becomes(to, device.der, 'SN-OCSP-1', 'deny');
    await house().kill();
    expect(await connect(to, other.der, 'SN-OCSP-2')).toBe('allow');
    await to.stop();
    const again = await start(table, trust());
    expect(await connect(again, other.der, 'SN-OCSP-2')).toBe('allow');
    expect(await connect(again, device.der, 'SN-OCSP-1')).toBe('deny');
    await house().restart();
  });
});

describe('a gate does not start', () => {
  test.each([
    ['where nobody tells of statuses', '', 'give [authority] or [status]'],
    ['with lists of nowhere', '[[status.crls]]\nissuerFiles = ["ROOT"]\n', 'give urls or files'],
    [
      'with a CA that may sign no lists',
      '[[status.crls]]\nissuerFiles = ["LEAF"]\nfiles = ["x.crl"]\n',
      'may not sign lists',
    ],
    [
      'with a range that is none',
      '[[status.crls]]\nissuerFiles = ["ROOT"]\nurls = ["http://crl.example/{9-1}.crl"]\n',
      'a range that is none',
    ],
    [
      'with two responders for one CA',
      '[[status.ocsp]]\nissuerFiles = ["ROOT"]\nurl = "http://a.example"\n[[status.ocsp]]\nissuerFiles = ["ROOT"]\nurl = "http://b.example"\n',
      'another responder',
    ],
  ])('%s', async (_name, tables, telling) => {
    const leaf = await issueDevice(house(), `leaf-${Math.abs(telling.length)}`, `SN-LEAF-${telling.length}`);
    const status = tables === '' ? '' : `[status]\nfolder = "status"\n${tables}`;
    const toml = `${rules()}${status}
[listen]
host = "127.0.0.1"
port = 0
[[trust]]
namespace = "own"
anchorFiles = ["${house().pem('root')}"]
`
      .replaceAll('ROOT', house().pem('root'))
      .replaceAll('LEAF', leaf.certificate);
    const config = house().write('broken.toml', toml);
    const { status: code, err } = await house().birthmark('broker-auth', 'check', '--config', config);
    expect(err).toContain(telling);
    expect(code).toBe(1);
  });
});
