import { beforeAll, describe, expect, test } from 'vitest';
import { opensslCsr } from './csr-makers.ts';
import { type Answer, lastLine } from './house.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse();

/** What curl sends to `POST /api/v1/enroll`, and what comes back. */
async function enroll(ticket: string | undefined, body: object): Promise<Answer & { readonly json: Reply }> {
  const file = house().write('body.json', JSON.stringify(body));
  const sign = ticket === undefined ? [] : ['-H', `Authorization: Bearer ${ticket}`];
  const words = [...sign, '-H', 'Content-Type: application/json', '--data-binary', `@${file}`];
  const answer = await house().curl('/api/v1/enroll', ...words);
  return { ...answer, json: JSON.parse(answer.body) as Reply };
}

interface Reply {
  readonly certificate: string;
  readonly chain: readonly string[];
  readonly serial: string;
  readonly serialNumber: string;
  readonly notGranted: readonly string[];
  readonly code?: string;
}

const ticketFor = async (serialNumber: string, ...words: readonly string[]) =>
  lastLine(await house().must('ticket', 'create', '--serial-number', serialNumber, ...words));

describe('a device with a ticket, by curl', () => {
  let ticket = '';
  let csr = '';
  let first: Awaited<ReturnType<typeof enroll>>;

  beforeAll(async () => {
    ticket = await ticketFor('SN-1');
    csr = await opensslCsr(house().folder, 'sn-1', 'P-256', 'SN-1');
    first = await enroll(ticket, { csr });
  });

  test('gets a certificate that chains to the root and says what it is', async () => {
    expect(first.status).toBe(200);
    const { certificate, chain, serialNumber, notGranted } = first.json;
    expect(serialNumber).toBe('SN-1');
    expect(notGranted).toEqual(['subject O=Elsewhere']);
    house().write('sn-1.pem', certificate);
    house().write('chain.pem', chain.join(''));
    const verify = ['verify', '-x509_strict', '-CAfile', house().pem('root'), '-untrusted', 'chain.pem'];
    expect(await house().program('openssl', ...verify, '-purpose', 'sslclient', 'sn-1.pem')).toContain(
      ': OK',
    );
    await expect(house().program('openssl', ...verify, '-purpose', 'sslserver', 'sn-1.pem')).rejects.toThrow(
      'purpose',
    );
    const text = await house().program(
      'openssl',
      'x509',
      '-in',
      'sn-1.pem',
      '-noout',
      '-subject',
      '-ext',
      'extendedKeyUsage',
    );
    expect(text).toContain('serialNumber = SN-1');
    expect(text).toContain('TLS Web Client Authentication');
  });

  test('gets the same octets when it asks again, even with another CSR of its key', async () => {
    expect((await enroll(ticket, { csr })).body).toBe(first.body);
    const again = await house().program(
      'openssl',
      'req',
      '-new',
      '-key',
      'sn-1.key',
      '-subj',
      '/CN=x/serialNumber=SN-1',
    );
    const second = await enroll(ticket, { csr: again, profile: 'ldevid' });
    expect(second.json.certificate).toBe(first.json.certificate);
  });

  test('also gets it for a CSR in base64 of its DER', async () => {
    const der = csr.replace(/-----[^-]+-----|\s/g, '');
    expect((await enroll(ticket, { csr: der })).json.certificate).toBe(first.json.certificate);
  });

  test('is refused with another key', async () => {
    const other = await opensslCsr(house().folder, 'other', 'P-256', 'SN-1');
    const answer = await enroll(ticket, { csr: other });
    expect(answer.status).toBe(409);
    expect(answer.json.code).toBe('ticket-bound');
  });

  test('is refused another profile than the one that its ticket is for', async () => {
    const answer = await enroll(ticket, { csr, profile: 'idevid' });
    expect([answer.status, answer.json.code]).toEqual([403, 'profile-not-allowed']);
  });

  test('is refused a CSR for another device', async () => {
    const other = await opensslCsr(house().folder, 'sn-2', 'P-256', 'SN-2');
    const answer = await enroll(await ticketFor('SN-3'), { csr: other });
    expect([answer.status, answer.json.code]).toEqual([403, 'serial-number-mismatch']);
  });

  test('is refused the key of another device, by another ticket too', async () => {
    const words = ['req', '-new', '-key', 'sn-1.key', '-subj', '/serialNumber=SN-4'];
    const answer = await enroll(await ticketFor('SN-4'), { csr: await house().program('openssl', ...words) });
    expect([answer.status, answer.json.code]).toEqual([409, 'key-in-use']);
    expect(await house().must('audit', 'incidents')).toContain('SN-4');
  });
});

describe('who has no good ticket', () => {
  let csr = '';
  beforeAll(async () => {
    csr = await opensslCsr(house().folder, 'none', 'P-256', 'SN-9');
  });

  test('is refused: none, a wrong one, one with a letter changed, a token', async () => {
    const ticket = await ticketFor('SN-9');
    const changed = `${ticket.slice(0, -1)}${ticket.endsWith('A') ? 'B' : 'A'}`;
    const token = await house().tokenFile('line', '--role', 'factory');
    for (const wrong of [undefined, 'secret', changed, token]) {
      const answer = await enroll(wrong, { csr });
      expect([answer.status, answer.json.code]).toEqual([401, 'unauthenticated']);
    }
    expect((await enroll(ticket, { csr })).status).toBe(200);
  });

  test('is refused when it has expired', async () => {
    const ticket = await ticketFor('SN-9', '--expires', '1s');
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const answer = await enroll(ticket, { csr });
    expect([answer.status, answer.json.code]).toEqual([401, 'ticket-expired']);
  });

  test('cannot have a ticket for an operator or a server', async () => {
    for (const profile of ['operator', 'server']) {
      const made = await house().birthmark(
        'ticket',
        'create',
        '--serial-number',
        'SN-9',
        '--profile',
        profile,
      );
      expect(made).toMatchObject({ status: 1, out: '' });
      expect(made.err).toMatch(/^birthmark: .*\[profile-not-allowed\]\n$/);
    }
  });

  test('finds no other server behind the address: curl refuses one that does not chain to the root', async () => {
    const words = ['-sS', '--cacert', house().pem('idevid'), `${house().tlsUrl}/api/v1/enroll`];
    expect(await runProgram('curl', words)).toMatchObject({ status: 60 });
  });
});
