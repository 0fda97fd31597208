import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { createBatchClient } from '../../src/cli/factory/batch-client.ts';
import { type EnrollFileOptions, enrollFile } from '../../src/cli/factory/enroll-file.ts';
import { createProgress, type Progress } from '../../src/cli/factory/progress.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import type { TokenRecord } from '../../src/enroll/ports.ts';
import { listen } from '../../src/server/listeners.ts';
import { ownTlsIdentity, readTlsContext, renewTlsCertificate } from '../../src/server/tls-certificate.ts';
import { toPem } from '../../src/x509/pem.ts';
import { codeOfAsync, newCsr, newKey } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { shareTestServer } from '../server/test-server.ts';

const server = await shareTestServer();
const { house } = server;
const folder = mkdtempSync(join(tmpdir(), 'birthmark-test-'));
const tls = {
  keyPath: join(folder, 'tls.key'),
  certificatePath: join(folder, 'tls.pem'),
  passphrase: 'sixteen letters!',
  names: ['localhost', '127.0.0.1'],
  reads: house.ledger.read,
  issuing: house.issuing,
  issueService: house.issueService,
  clock: house.clock.now,
};
await renewTlsCertificate(tls);
const listeners = await listen({
  api: server.options,
  authorities: house.authorities,
  ocsp: house.ocsp,
  tls: ownTlsIdentity(tls),
  at: { publicHost: '127.0.0.1', publicPort: 0, tlsHost: '127.0.0.1', tlsPort: 0 },
});
afterAll(async () => {
  await listeners.close();
  rmSync(folder, { recursive: true, force: true });
});
const ca = toPem('CERTIFICATE', house.authorities.get('root')?.certificate.raw ?? new Uint8Array());

let devices = 0;
/** A line for a device that nobody has seen. */
function line(key = newKey()): string {
  devices += 1;
  return JSON.stringify({ serialNumber: `SN-${devices}`, csr: newCsr(key).toString('base64') });
}

interface Answer {
  readonly serialNumber?: string;
  readonly serial?: string;
  readonly line?: number;
  readonly error?: { readonly code: string };
}

async function prepare(lines: readonly string[], limits: Partial<TokenRecord> = {}) {
  const work = temporaryFolder();
  const [input, output] = [join(work, 'in'), join(work, 'out')];
  writeFileSync(input, lines.map((one) => `${one}\n`).join(''));
  const progress: Progress[] = [];
  const options: EnrollFileOptions = {
    url: listeners.addresses.tls,
    token: await server.token('factory', limits),
    ca,
    profile: 'idevid',
    connections: 2,
    input,
    output,
    onProgress: (one) => progress.push(one),
    onRetry: () => undefined,
  };
  const answers = (): Answer[] =>
    readFileSync(output, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((one) => JSON.parse(one));
  return { options, progress, answers };
}

const brief = ({ serialNumber, line: number, error }: Answer) =>
  `${serialNumber ?? `line ${number}`} ${error?.code ?? 'granted'}`;

describe('a file of devices', () => {
  test('is answered line for line, with refusals in their place and by their number in the file', async () => {
    const key = newKey();
    const lines = [line(key), '', line(key), 'x'.repeat(70_000), line()];
    const { options, answers, progress } = await prepare(lines);
    const summary = await enrollFile(options);
    expect(summary).toMatchObject({ granted: 2, refused: 3, before: 0 });
    expect(answers().map(brief)).toEqual([
      `SN-${devices - 2} granted`,
      'line 2 bad-json',
      `SN-${devices - 1} key-in-use`,
      'line 4 bad-json',
      `SN-${devices} granted`,
    ]);
    expect(progress.at(-1)).toMatchObject({ done: 5, total: 5, refused: 3, before: 0 });
  });

  test('of several requests keeps its order, and numbers lines through all of it', async () => {
    const lines = Array.from({ length: 1203 }, () => '{');
    lines[700] = line();
    const { options, answers } = await prepare(lines);
    await enrollFile({ ...options, connections: 4 });
    expect(answers().map(({ line: number }) => number)).toEqual(
      lines.map((_, at) => (at === 700 ? undefined : at + 1)),
    );
  });

  test('that is empty has an empty answer', async () => {
    const { options, answers } = await prepare([]);
    expect(await enrollFile(options)).toMatchObject({ granted: 0, refused: 0, before: 0 });
    expect(answers()).toEqual([]);
  });

  test('enrolled again asks for nothing', async () => {
    const { options, answers } = await prepare([line(), line()]);
    await enrollFile(options);
    const before = answers();
    expect(await enrollFile({ ...options, token: 'bmk_wrong' })).toMatchObject({ granted: 0, before: 2 });
    expect(answers()).toEqual(before);
  });

  test('that a kill cut in the middle of an answer goes on there, with the same certificates', async () => {
    const { options, answers } = await prepare([line(), line(), line()]);
    await enrollFile(options);
    const before = answers();
    truncateSync(options.output, Math.floor(statSync(options.output).size * 0.6));
    expect(await enrollFile(options)).toMatchObject({ granted: 2, before: 1 });
    expect(answers()).toEqual(before);
  });

  test("does not go on in another file's output", async () => {
    const { options, answers } = await prepare([line(), line()]);
    await enrollFile(options);
    const before = answers();
    writeFileSync(options.input, `${line()}\n${line()}\n`);
    await expect(enrollFile(options)).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringContaining('line 1'),
    });
    expect(answers()).toEqual(before);
  });

  test('does not go on in an output that is longer than it', async () => {
    const { options } = await prepare([line(), line()]);
    await enrollFile(options);
    const [first = ''] = readFileSync(options.input, 'utf8').split('\n');
    writeFileSync(options.input, `${first}\n`);
    expect(await codeOfAsync(enrollFile(options))).toBe('bad-request');
  });
});

describe('a token that comes to its end in the middle', () => {
  test('stops the run with what it gave; another one goes on with the rest', async () => {
    const { options, answers } = await prepare([line(), line(), line(), line()], { count: 2 });
    await expect(enrollFile(options)).rejects.toMatchObject({
      code: 'unauthenticated',
      message: expect.stringContaining('another token'),
    });
    expect(answers().map(brief)).toEqual([`SN-${devices - 3} granted`, `SN-${devices - 2} granted`]);
    const token = await server.token('factory');
    expect(await enrollFile({ ...options, token })).toMatchObject({ granted: 2, refused: 0, before: 2 });
    expect(answers().map(brief)).toHaveLength(4);
  });

  test('leaves a file without an answer where it was at its end before', async () => {
    const { options, answers } = await prepare([line()], { count: 1, used: 1 });
    expect(await codeOfAsync(enrollFile(options))).toBe('unauthenticated');
    expect(answers()).toEqual([]);
  });

  test('keeps refusals of lines, which no other token would mend', async () => {
    const { options, answers } = await prepare([line(), line()], { serialPattern: 'XX-*' });
    expect(await enrollFile(options)).toMatchObject({ granted: 0, refused: 2 });
    expect(answers().map(brief)).toEqual([
      `SN-${devices - 1} serial-number-not-allowed`,
      `SN-${devices} serial-number-not-allowed`,
    ]);
  });
});

describe('is refused as a whole', () => {
  test.each<[string, Partial<EnrollFileOptions>, string]>([
    [
      'with a token that nobody knows',
      { token: `bmk_${'0'.repeat(16)}_${'A'.repeat(43)}` },
      'unauthenticated',
    ],
    ['for a profile that nobody knows', { profile: 'x' }, 'profile-unknown'],
    ['for a profile that is not for devices', { profile: 'operator' }, 'profile-not-allowed'],
    ['over plain HTTP', { url: 'http://127.0.0.1:1' }, 'bad-request'],
    ['at what is no URL', { url: 'pki' }, 'bad-request'],
    ['without its input', { input: '/nowhere' }, 'bad-request'],
    [
      'at a server of another root',
      { ca: toPem('CERTIFICATE', house.authorities.get('idevid')?.certificate.raw ?? new Uint8Array()) },
      'bad-request',
    ],
  ])('%s', async (_title, changes, code) => {
    const { options } = await prepare([line()]);
    expect(await codeOfAsync(enrollFile({ ...options, ...changes }))).toBe(code);
  });
});

/** A server with our certificate that answers as it likes. */
async function otherServer(
  answer: (body: string, number: number) => { status: number; text: string; cut?: boolean },
) {
  let asked = 0;
  const other = createServer(readTlsContext(tls), (request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += String(part);
    });
    request.on('end', () => {
      asked += 1;
      const { status, text, cut } = answer(body, asked);
      response.writeHead(status);
      if (cut) response.write(text, () => response.destroy());
      else response.end(text);
    });
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void other.close());
  const address = other.address();
  return {
    url: `https://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    asked: () => asked,
  };
}

describe('what may be different the next time', () => {
  const granted = (body: string) =>
    body
      .trimEnd()
      .split('\n')
      .map(
        (one) =>
          `${JSON.stringify({ serialNumber: JSON.parse(one).serialNumber, serial: '01', certificate: '' })}\n`,
      )
      .join('');

  test('is asked for again, and nothing is written before it is final', async () => {
    const retries: string[] = [];
    const { options, answers } = await prepare([line(), line(), line()]);
    const other = await otherServer((body, number) => {
      const [first = '', ...more] = granted(body).split(/(?<=\n)/);
      if (number > 1) return { status: 200, text: granted(body) };
      return {
        status: 200,
        text:
          first +
          more.map(() => '{"serialNumber":"x","error":{"code":"ledger-busy","detail":"busy"}}\n').join(''),
      };
    });
    const summary = await enrollFile({
      ...options,
      url: other.url,
      onRetry: (reason) => retries.push(reason),
    });
    expect(summary).toMatchObject({ granted: 3, refused: 0 });
    expect(other.asked()).toBe(2);
    expect(retries).toEqual(['ledger-busy']);
    expect(answers().map(brief)).toEqual([2, 1, 0].map((back) => `SN-${devices - back} granted`));
  });

  test('a connection that breaks keeps the whole lines that came', async () => {
    const { options, answers } = await prepare([line(), line(), line()]);
    const bodies: number[] = [];
    const other = await otherServer((body, number) => {
      bodies.push(body.trimEnd().split('\n').length);
      const text = granted(body);
      return number === 1
        ? { status: 200, text: text.slice(0, text.indexOf('\n') + 10), cut: true }
        : { status: 200, text };
    });
    expect(await enrollFile({ ...options, url: other.url })).toMatchObject({ granted: 3 });
    expect(bodies).toEqual([3, 2]);
    expect(answers()).toHaveLength(3);
  });

  test('a server that is overwhelmed is given time', async () => {
    const { options } = await prepare([line()]);
    const problem = JSON.stringify({ status: 503, code: 'ledger-busy', detail: 'busy' });
    const other = await otherServer((body, number) =>
      number === 1 ? { status: 503, text: problem } : { status: 200, text: granted(body) },
    );
    expect(await enrollFile({ ...options, url: other.url })).toMatchObject({ granted: 1 });
  });

  test('an answer that is not ours is not asked for again', async () => {
    const { options } = await prepare([line()]);
    const other = await otherServer(() => ({ status: 404, text: '<html>' }));
    await expect(enrollFile({ ...options, url: other.url })).rejects.toMatchObject({
      message: expect.stringContaining('404'),
    });
    expect(other.asked()).toBe(1);
  });

  test('the token travels in the head, and never to plain HTTP', async () => {
    const { options } = await prepare([line()]);
    expect(() => createBatchClient({ ...options, url: 'http://127.0.0.1' })).toThrow(BirthmarkError);
  });
});

describe('progress', () => {
  const at = (elapsedMs: number, changes: Partial<Progress> = {}): Progress => ({
    done: 50,
    total: 200,
    refused: 0,
    before: 0,
    elapsedMs,
    ...changes,
  });

  function shown(isTTY: boolean) {
    const written: string[] = [];
    const stream = { isTTY, write: (text: string) => written.push(text) > 0 };
    return { written, progress: createProgress(stream) };
  }

  test('on a terminal is one line that changes, with rate and time left', () => {
    const { written, progress } = shown(true);
    progress.show(at(1000));
    progress.show(at(1001));
    progress.show(at(2000, { done: 100, refused: 3 }));
    progress.end();
    expect(written).toHaveLength(3);
    expect(written[0]).toMatch(/^\r.*50 of 200 \(25 %\), 50 a second, 3 s left$/);
    expect(written[1]).toMatch(/100 of 200 .*3 refused$/);
    expect(written[2]).toBe('\n');
  });

  test('elsewhere is a line now and then', () => {
    const { written, progress } = shown(false);
    progress.show(at(1000));
    progress.show(at(11_000, { done: 100, before: 45 }));
    progress.end();
    expect(written).toEqual([expect.stringMatching(/^100 of 200 \(50 %\), 5 a second, 20 s left\n$/)]);
  });
});
