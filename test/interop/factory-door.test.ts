import { beforeAll, describe, expect, test } from 'vitest';
import { opensslCsr } from './csr-makers.ts';
import type { Answer } from './house.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse();
const DOOR = '/api/v1/factory/batch';
let csrs: readonly string[] = [];
let token = '';

interface Line {
  readonly serialNumber?: string;
  readonly line?: number;
  readonly serial?: string;
  readonly certificate?: string;
  readonly error?: { readonly code: string; readonly detail: string };
}

beforeAll(async () => {
  token = await house().tokenFile('line', '--role', 'factory');
  csrs = await Promise.all([1, 2, 3].map((at) => opensslCsr(house().folder, `d${at}`, 'P-256', `SN-${at}`)));
});

/** Sends a body to the batch door with curl. */
function send(body: string | Buffer, bearer = token, query = ''): Promise<Answer> {
  const file = house().write('body.ndjson', body);
  const words = ['-H', `Authorization: Bearer ${bearer}`, '-H', 'Content-Type: application/x-ndjson'];
  return house().curl(`${DOOR}${query}`, ...words, '-T', file, '-X', 'POST');
}

const line = (device: object) => `${JSON.stringify(device)}\n`;
const read = ({ body }: Answer) =>
  body
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Line);
const codes = (answer: Answer) => read(answer).map(({ error }) => error?.code);

describe('the batch door, by curl', () => {
  test('answers line for line, and bad lines in their place', async () => {
    const [one = '', two = '', three = ''] = csrs;
    const weak = await house().program(
      ...([
        'openssl',
        'req',
        '-new',
        '-newkey',
        'rsa:1024',
        '-nodes',
        '-keyout',
        'weak.key',
        '-subj',
        '/CN=w',
      ] as const),
    );
    const answer = await send(
      [
        line({ serialNumber: 'SN-1', csr: one }),
        'no JSON\n',
        line({ serialNumber: 'SN-1b', csr: 'AAAA' }),
        line({ serialNumber: 'SN-2', csr: two.replace(/-----[^-]+-----|\s/g, '') }),
        line({ serialNumber: 'SN_2', csr: two }),
        line({ serialNumber: 'SN-3', csr: two }),
        line({ serialNumber: 'SN-4', csr: weak }),
        line({ serialNumber: 'SN-5', csr: one, color: 'red' }),
        line({ serialNumber: 'SN-3', csr: three, hwType: '1.3.6.1', hwSerialNum: 'not base64!' }),
        `${' '.repeat(70_000)}\n`,
        line({ serialNumber: 'SN-3', csr: three }).trimEnd(),
      ].join(''),
    );
    expect(answer.status).toBe(200);
    expect(codes(answer)).toEqual([
      undefined,
      'bad-json',
      expect.stringMatching(/^bad-/),
      undefined,
      'serial-number-invalid',
      'serial-number-mismatch',
      'key-too-small',
      'bad-request',
      'bad-base64',
      'line-too-long',
      undefined,
    ]);
    const lines = read(answer);
    expect(lines.map(({ serialNumber, line: number }) => serialNumber ?? number)).toEqual([
      'SN-1',
      2,
      'SN-1b',
      'SN-2',
      'SN_2',
      'SN-3',
      'SN-4',
      'SN-5',
      'SN-3',
      10,
      'SN-3',
    ]);
    for (const { certificate } of lines.filter(({ error }) => !error)) {
      house().write('c.pem', certificate ?? '');
      const verify = [
        'verify',
        '-x509_strict',
        '-CAfile',
        house().pem('root'),
        '-untrusted',
        house().pem('idevid'),
      ];
      expect(await house().program('openssl', ...verify, 'c.pem')).toContain(': OK');
    }
  });

  test('gives the same certificate for the same line, and another key of a born device nothing', async () => {
    const [one = ''] = csrs;
    const first = read(await send(line({ serialNumber: 'SN-1', csr: one })));
    const again = read(await send(line({ serialNumber: 'SN-1', csr: one }).repeat(2)));
    expect(again).toEqual([...first, ...first]);
    const other = await opensslCsr(house().folder, 'thief', 'P-256', 'SN-1');
    expect(codes(await send(line({ serialNumber: 'SN-1', csr: other })))).toEqual(['device-already-born']);
  });

  test('answers while the batch is still being sent', async () => {
    const [one = '', two = ''] = csrs;
    house().write('first', line({ serialNumber: 'SN-1', csr: one }));
    house().write('second', line({ serialNumber: 'SN-2', csr: two }));
    const { tlsUrl, pem, folder } = house();
    // The second line is sent when the answer to the first one is there, or never.
    const script = `rm -f answers; mkfifo lines
      curl -sSN --noproxy '*' --cacert '${pem('root')}' -H "Authorization: Bearer $(cat line.token)" \\
        -H 'Content-Type: application/x-ndjson' -X POST -T . -o answers '${tlsUrl}${DOOR}' < lines &
      exec 3> lines; cat first >&3
      for i in $(seq 200); do [ -s answers ] && break; sleep 0.05; done
      grep -c certificate answers; cat second >&3; exec 3>&-; wait; grep -c certificate answers`;
    const done = await runProgram('sh', ['-c', script], { cwd: folder });
    expect(done).toMatchObject({ status: 0, out: '1\n2\n' });
  });

  test('is closed to wrong tokens, to roles that enroll nothing, and to profiles that are not for devices', async () => {
    const body = line({ serialNumber: 'SN-1', csr: csrs[0] });
    const auditor = await house().tokenFile('auditor', '--role', 'auditor');
    const closed = async (...words: Parameters<typeof send>) => {
      const answer = await send(...words);
      return [answer.status, (JSON.parse(answer.body) as { readonly code: string }).code];
    };
    expect(await closed(body, 'wrong')).toEqual([401, 'unauthenticated']);
    expect(await closed(body, auditor)).toEqual([403, 'forbidden']);
    expect(await closed(body, token, '?profile=operator')).toEqual([403, 'profile-not-allowed']);
    expect(await closed(body, token, '?profile=nonsense')).toEqual([400, 'profile-unknown']);
    const json = await house().curl(DOOR, '-H', `Authorization: Bearer ${token}`, '--json', '{}');
    expect(json.status).toBe(415);
  });

  test('holds a token to its serial numbers, its batch, its count, and to its revocation', async () => {
    const narrow = await house().tokenFile(
      ...([
        'narrow',
        '--role',
        'factory',
        '--serial-pattern',
        'LOT7-*',
        '--batch',
        'lot-7',
        '--count',
        '1',
      ] as const),
    );
    const fresh = await Promise.all(
      ['a', 'b'].map((name) => opensslCsr(house().folder, name, 'P-256', `LOT7-${name}`)),
    );
    const body = [
      line({ serialNumber: 'SN-1', csr: csrs[0] }),
      line({ serialNumber: 'LOT7-a', csr: fresh[0], batch: 'lot-8' }),
      line({ serialNumber: 'LOT7-a', csr: fresh[0] }),
      line({ serialNumber: 'LOT7-b', csr: fresh[1] }),
      line({ serialNumber: 'LOT7-a', csr: fresh[0] }),
    ].join('');
    expect(codes(await send(body, narrow))).toEqual([
      'serial-number-not-allowed',
      'batch-not-allowed',
      undefined,
      'token-exhausted',
      undefined,
    ]);
    expect(await house().must('device', 'show', 'LOT7-a')).toContain('batch lot-7');
    await house().must('token', 'revoke', 'narrow');
    expect((await send(body, narrow)).status).toBe(401);
  });
});
