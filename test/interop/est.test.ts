// Devices that enroll by themselves with other people's EST clients.
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type EstClients, estClients, subjectFor } from './est-clients.ts';
import { hasProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse();
/** Where strongSwan shows an IDevID at simplereenroll, as it always does, and a person approves. */
const patient = useHouse({
  configure: (toml) =>
    toml
      .replace('idevidMayReenroll = false', 'idevidMayReenroll = true')
      .replace('approval = false', 'approval = true')
      .replace('retryAfterSeconds = 30', 'retryAfterSeconds = 1'),
});
const VERSIONS = ['1.2', '1.3'] as const;
let est: EstClients;

beforeAll(() => {
  est = estClients(house());
});

/** A manufacturer with OpenSSL: maker.pem, and device NAME.key, NAME.pem under it, with what is in the extension file. */
async function makeManufacturer(name: string): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-days', '3650'];
  await house().program(
    'openssl',
    'req',
    '-x509',
    ...key,
    ...usage,
    '-subj',
    `/O=${name}/CN=CA`,
    '-out',
    `${name}.pem`,
  );
}

async function makeForeign(ca: string, name: string, subject: string): Promise<void> {
  house().write('idevid.ext', 'keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n');
  await est.request(name, subject);
  const signer = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-days', '3000', '-extfile', 'idevid.ext'];
  await house().program('openssl', 'x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`);
}

const shows = (name: string) => ['--cert', `${name}.pem`, '--key', `${name}.key`];

describe('by curl', () => {
  test('the authorities are those of the home', async () => {
    const { status, body } = await house().curl('/.well-known/est/cacerts');
    expect(status).toBe(200);
    house().write('cacerts.p7', Buffer.from(body, 'base64'));
    const text = await house().program(
      'openssl',
      'pkcs7',
      '-inform',
      'DER',
      '-in',
      'cacerts.p7',
      '-print_certs',
    );
    const prints = (text.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map(
      (pem) => new X509Certificate(pem).fingerprint256,
    );
    const ours = ['root', 'ldevid'].map(
      (name) => new X509Certificate(house().read(house().pem(name))).fingerprint256,
    );
    expect(prints.toSorted()).toEqual(ours.toSorted());
  });

  test('CSR attributes are DER that OpenSSL reads', async () => {
    const { body } = await house().curl('/.well-known/est/csrattrs');
    house().write('csrattrs.der', Buffer.from(body, 'base64'));
    expect(await house().program('openssl', 'asn1parse', '-inform', 'DER', '-in', 'csrattrs.der')).toContain(
      'SEQUENCE',
    );
  });

  test.each(VERSIONS)('a device enrolls by ticket and renews on TLS %s', async (tls) => {
    const device = `curl-${tls}`;
    const version = [`--tlsv${tls}`, '--tls-max', tls];
    const ticket = ['-u', `${device}:${await est.ticket(device)}`];
    await est.request(device, `/serialNumber=${device}`);
    expect(await est.curl(device, 'simpleenroll', ...version)).toBe('401 certificate-required');
    expect(await est.curl(device, 'simpleenroll', ...version, '-u', `${device}:bmt_x`)).toBe(
      '401 unauthenticated',
    );
    expect(await est.curl(device, 'simpleenroll', ...version, ...ticket)).toBe('200');
    const first = await est.read(device);
    expect(first.subject).toMatch(new RegExp(`serialNumber=${device}$`));
    const { openssl: subject } = subjectFor(house(), device);
    await est.request(`${device}-new`, subject);
    expect(await est.curl(`${device}-new`, 'simplereenroll', ...version, ...shows(device))).toBe('200');
    const second = await est.read(`${device}-new`);
    expect(second.subject).toBe(first.subject);
    expect(second.serial).not.toBe(first.serial);
    await est.request(`${device}-other`, `/serialNumber=${device}`);
    expect(await est.curl(`${device}-other`, 'simplereenroll', ...version, ...shows(device))).toBe(
      '403 identity-differs',
    );
  });

  test('a device enrolls by our IDevID, and does not renew with it', async () => {
    await est.idevid('born', 'SN-born');
    await est.request('owned', '/');
    expect(await est.curl('owned', 'simplereenroll', ...shows('born'))).toBe('403 admission-refused');
    expect(await est.curl('owned', 'simpleenroll', ...shows('born'))).toBe('200');
    expect((await est.read('owned')).subject).toMatch(/serialNumber=SN-born$/);
  });
});

describe("a manufacturer's IDevID, made with OpenSSL,", () => {
  beforeAll(() => makeManufacturer('maker'));

  test('enrolls once its CA is trusted, and no longer when it is not', async () => {
    await makeForeign('maker', 'foreign', '/O=Maker/serialNumber=F-1');
    await est.request('adopted', '/');
    const ask = () => est.curl('adopted', 'simpleenroll', ...shows('foreign'));
    expect(await ask()).toBe('403 certificate-refused');
    const added = await house().must(
      'trust',
      'add',
      '--ca',
      'maker.pem',
      '--namespace',
      'maker',
      '--serial-pattern',
      'F-*',
      '--json',
    );
    expect(await ask()).toBe('200');
    expect((await est.read('adopted')).subject).toMatch(/serialNumber=F-1$/);
    expect(await house().must('device', 'list')).toMatch(/maker\/F-1|F-1/);
    await makeForeign('maker', 'outside', '/O=Maker/serialNumber=G-1');
    expect(await est.curl('adopted', 'simpleenroll', ...shows('outside'))).toBe(
      '403 serial-number-not-allowed',
    );
    await makeForeign('maker', 'nameless', '/O=Maker/CN=F-2');
    expect(await est.curl('adopted', 'simpleenroll', ...shows('nameless'))).toBe('403 certificate-refused');
    const fingerprint = /[0-9a-f]{64}/.exec(added)?.[0] ?? '';
    await house().must('trust', 'remove', fingerprint);
    expect(await ask()).toBe('403 certificate-refused');
  });
});

describe.each(VERSIONS)('by openssl s_client on TLS %s', (tls) => {
  const identity = (name: string) => [
    '-cert',
    `${name}.pem`,
    '-cert_chain',
    `${name}.pem`,
    '-key',
    `${name}.key`,
  ];

  test('a device enrolls by our IDevID, renews, and is refused what it may not', async () => {
    const device = `s-client-${tls}`;
    await est.idevid(device, device);
    await est.request(`${device}-l`, '/');
    expect(await est.sClient(`${device}-l`, 'simpleenroll', tls)).toBe('401 certificate-required');
    expect(await est.sClient(`${device}-l`, 'simplereenroll', tls, ...identity(device))).toBe(
      '403 admission-refused',
    );
    expect(await est.sClient(`${device}-l`, 'simpleenroll', tls, ...identity(device))).toBe('200');
    await est.request(`${device}-r`, subjectFor(house(), `${device}-l`).openssl);
    expect(await est.sClient(`${device}-r`, 'simplereenroll', tls, ...identity(`${device}-l`))).toBe('200');
    expect((await est.read(`${device}-r`)).subject).toBe((await est.read(`${device}-l`)).subject);
  });
});

describe('by Python on TLS 1.2', () => {
  test('a CSR that is bound by tls-unique is taken on its connection, and refused on another one', async () => {
    const ticket = await est.ticket('SN-bound');
    house().write(
      'bound.py',
      `import base64, http.client, ssl, subprocess, sys
port, root, ticket = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
context.maximum_version = ssl.TLSVersion.TLSv1_2
auth = "Basic " + base64.b64encode(("SN-bound:" + ticket).encode()).decode()
def connect():
    c = http.client.HTTPSConnection("localhost", int(port), context=context)
    c.connect()
    return c
def bound(c):
    binding = base64.b64encode(c.sock.get_channel_binding("tls-unique")).decode()
    config = "[req]\\nprompt=no\\ndistinguished_name=d\\nattributes=a\\nstring_mask=utf8only\\n[d]\\nserialNumber=SN-bound\\n[a]\\nchallengePassword=" + binding + "\\n"
    open("bound.cnf", "w").write(config)
    return base64.b64encode(subprocess.run(["openssl", "req", "-new", "-config", "bound.cnf", "-key", "bound.key", "-outform", "DER"], check=True, stdout=subprocess.PIPE).stdout)
def send(c, csr):
    c.request("POST", "/.well-known/est/simpleenroll", csr, {"Content-Type": "application/pkcs10", "Authorization": auth})
    r = c.getresponse()
    return str(r.status) + " " + r.read().decode().split(":")[0] if r.status != 200 else "200"
one, two = connect(), connect()
print(send(two, bound(one)))
print(send(one, bound(one)))
`,
    );
    await house().program(
      'openssl',
      'ecparam',
      '-name',
      'prime256v1',
      '-genkey',
      '-noout',
      '-out',
      'bound.key',
    );
    const { port } = new URL(house().tlsUrl);
    const said = await house().program('python3', 'bound.py', port, house().pem('root'), ticket);
    expect(said.trim().split('\n')).toEqual(['403 channel-binding', '200']);
    const acts = (await house().must('audit', 'show')).trim().split('\n');
    expect(acts.at(-1)).toContain('"binding":"tls-unique"');
  });
});

describe.skipIf(!hasProgram('pki')).each(VERSIONS)('by strongSwan on TLS %s', (tls) => {
  test('the authorities are fetched', async () => {
    const { port } = new URL(house().tlsUrl);
    const words = [
      '--cacert',
      house().pem('root'),
      '--caout',
      `ca-${tls}.pem`,
      '--outform',
      'pem',
      '--force',
    ];
    const done = await est.pki(tls, '--estca', '--url', `https://localhost:${port}`, ...words);
    expect([done.status, done.err]).toEqual([0, expect.anything()]);
    const got = [`ca-${tls}.pem`, `ca-${tls}-1.pem`].map(
      (file) => new X509Certificate(house().read(file)).fingerprint256,
    );
    const ours = ['root', 'ldevid'].map(
      (name) => new X509Certificate(house().read(house().pem(name))).fingerprint256,
    );
    expect(got).toEqual(ours);
  });

  test('a device enrolls by ticket, renews, and is refused what it may not', async () => {
    const device = `swan-${tls}`;
    await est.swanRequest(device, `serialNumber=${device}`);
    const wrong = await est.swan(device, tls, '--userpass', `${device}:bmt_x`);
    expect([wrong.status === 0, wrong.out.includes('BEGIN CERTIFICATE')]).toEqual([false, false]);
    const done = await est.swan(device, tls, '--userpass', `${device}:${await est.ticket(device)}`);
    expect([done.status, done.err.includes('not trusted')]).toEqual([0, false]);
    const first = await est.read(device);
    await est.swanRequest(`${device}-new`, subjectFor(house(), device).swan);
    expect((await est.swan(`${device}-new`, tls, ...shows(device))).status).toBe(0);
    const second = await est.read(`${device}-new`);
    expect(second.subject).toBe(first.subject);
    expect(second.serial).not.toBe(first.serial);
    await est.swanRequest(`${device}-other`, 'O=Elsewhere, serialNumber=other');
    const refused = await est.swan(`${device}-other`, tls, ...shows(device));
    expect([refused.status === 0, refused.out.includes('BEGIN CERTIFICATE')]).toEqual([false, false]);
    // It shows an IDevID at simplereenroll, which this label does not take.
    await est.idevid(`${device}-born`, `${device}-b`);
    await est.swanRequest(`${device}-owned`, `serialNumber=${device}-b`);
    expect((await est.swan(`${device}-owned`, tls, ...shows(`${device}-born`))).status).not.toBe(0);
  });

  test('a device waits until it is approved, by ticket and by our IDevID', async () => {
    const there = estClients(patient());
    const polls = ['--interval', '1', '--maxpolltime', '60'];
    const [one, two] = [`wait-${tls}`, `born-${tls}`];
    await there.swanRequest(one, `serialNumber=${one}`);
    await there.swanRequest(`${two}-l`, `serialNumber=${two}`);
    await there.idevid(two, two);
    const ticket = ['--userpass', `${one}:${await there.ticket(one)}`];
    const asked = [
      there.swan(one, tls, ...polls, ...ticket),
      there.swan(`${two}-l`, tls, ...polls, ...shows(two)),
    ];
    expect(await Promise.race([...asked, sleep(2500, 'waiting')])).toBe('waiting');
    const waiting: { id: number; serialNumber: string }[] = JSON.parse(
      await patient().must('enrollment', 'list', '--state', 'waiting', '--json'),
    );
    expect(waiting.map(({ serialNumber }) => serialNumber).toSorted()).toEqual([two, one]);
    for (const { id } of waiting) await patient().must('enrollment', 'approve', String(id));
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([0, 0]);
    for (const name of [one, `${two}-l`]) await there.read(name);
  });
});
