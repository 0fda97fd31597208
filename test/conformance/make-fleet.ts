import { KEY_KINDS, type KeyKind, opensslCsr } from '../interop/csr-makers.ts';
import type { House } from '../interop/house.ts';

/** A certificate of ours, and what it must say. */
export interface Specimen {
  readonly kind: 'idevid' | 'ldevid';
  readonly key: KeyKind;
  readonly serialNumber: string;
  /** Names of files in the house's folder. */
  readonly certificate: string;
  readonly csr: string;
  /** Whether it comes from the EST door. */
  readonly est?: boolean;
  readonly hardware?: { readonly type: string; readonly serialHex: string };
}

const HW_TYPE = '1.3.6.1.4.1.99999.1';

/** A CSR for every kind of key and every role of a specimen, PEM by name. Keys are made once: homes know nothing of each other. */
export async function makeCsrs(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = KEY_KINDS.flatMap((key) =>
    ['hw', 'plain', 'ldevid', 'est'].map((role) => [`${key}-${role}`, key] as const),
  );
  const made = names.map(
    async ([name, key]) => [name, await opensslCsr(folder, name, key, serialNumberOf(name))] as const,
  );
  return new Map(await Promise.all(made));
}

/**
 * IDevIDs through `birthmark factory enroll`, with and without hardwareModuleName, and LDevIDs by ticket through
 * `POST /enroll` and through EST; written into the house's folder.
 */
export async function makeFleet(
  house: House,
  csrs: ReadonlyMap<string, string>,
): Promise<readonly Specimen[]> {
  const specimens = [...csrs.keys()].map((name): Specimen => {
    const key = KEY_KINDS.find((kind) => name.startsWith(`${kind}-`)) ?? 'P-256';
    const files = { certificate: `${name}.pem`, csr: house.write(`${name}.csr`, csrs.get(name) ?? '') };
    const common = { key, serialNumber: serialNumberOf(name), ...files };
    if (name.endsWith('-ldevid')) return { kind: 'ldevid', ...common };
    if (name.endsWith('-est')) return { kind: 'ldevid', est: true, ...common };
    const serialHex = Buffer.from(`hw ${name}`).toString('hex');
    return {
      kind: 'idevid',
      ...common,
      ...(name.endsWith('-hw') && { hardware: { type: HW_TYPE, serialHex } }),
    };
  });
  await enrollBatch(
    house,
    specimens.filter(({ kind }) => kind === 'idevid'),
  );
  const admin = await house.tokenFile('admin', '--role', 'admin');
  for (const specimen of specimens.filter(({ kind }) => kind === 'ldevid'))
    await (specimen.est ? enrollByEst : enrollByTicket)(house, specimen, admin);
  return specimens;
}

async function enrollBatch(house: House, specimens: readonly Specimen[]): Promise<void> {
  await house.tokenFile('line', '--role', 'factory', '--profile', 'idevid');
  const lines = specimens.map(({ serialNumber, csr, hardware }) =>
    JSON.stringify({
      serialNumber,
      csr: house.read(csr),
      ...(hardware && {
        hwType: hardware.type,
        hwSerialNum: Buffer.from(hardware.serialHex, 'hex').toString('base64'),
      }),
    }),
  );
  house.write('devices.ndjson', `${lines.join('\n')}\n`);
  const from = ['--url', house.tlsUrl, '--token-file', 'line.token', '--ca', house.pem('root')];
  await house.must('factory', 'enroll', ...from, '--in', 'devices.ndjson', '--out', 'certificates.ndjson');
  const answers = house.read('certificates.ndjson').trimEnd().split('\n');
  for (const [at, { certificate }] of specimens.entries())
    house.write(certificate, textIn(answers[at] ?? '', 'certificate'));
}

async function enrollByTicket(house: House, { serialNumber, csr, certificate }: Specimen, admin: string) {
  const ticket = await ticketFor(house, serialNumber, admin);
  const enrolled = await post(house, '/api/v1/enroll', ticket, { csr: house.read(csr) });
  house.write(certificate, textIn(enrolled, 'certificate'));
}

async function enrollByEst(house: House, { serialNumber, csr, certificate }: Specimen, admin: string) {
  const body = house.write(`${csr}.base64`, house.read(csr).replace(/-----[^-]+-----/g, ''));
  const credentials = ['-u', `${serialNumber}:${await ticketFor(house, serialNumber, admin)}`];
  const sent = ['-H', 'Content-Type: application/pkcs10', '--data-binary', `@${body}`];
  const answer = await house.curl('/.well-known/est/simpleenroll', ...credentials, ...sent);
  if (answer.status !== 200) throw new Error(`EST answered ${answer.status}: ${answer.body}`);
  const certs = house.write(`${certificate}.p7`, Buffer.from(answer.body, 'base64'));
  const words = ['-inform', 'DER', '-in', certs, '-print_certs'];
  house.write(certificate, await house.program('openssl', 'pkcs7', ...words));
}

async function ticketFor(house: House, serialNumber: string, admin: string): Promise<string> {
  return textIn(await post(house, '/api/v1/tickets', admin, { serialNumber }), 'ticket');
}

async function post(house: House, address: string, bearer: string, body: object): Promise<string> {
  const sign = ['-H', `Authorization: Bearer ${bearer}`];
  const answer = await house.curl(address, ...sign, '--json', JSON.stringify(body));
  if (answer.status >= 300) throw new Error(`${address} answered ${answer.status}: ${answer.body}`);
  return answer.body;
}

function serialNumberOf(name: string): string {
  return `SN-${name}`;
}

/** A member of a JSON object that must be text. */
function textIn(json: string, member: string): string {
  const value: unknown = new Map<string, unknown>(Object.entries(Object(JSON.parse(json)))).get(member);
  if (typeof value !== 'string') throw new Error(`${member} is missing in ${json.slice(0, 200)}`);
  return value;
}
