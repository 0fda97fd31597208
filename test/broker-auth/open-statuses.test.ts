// Lists and a responder behind real HTTP, files on a real disk, and a gate whose sessions end by them.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { assembleGate } from '../../src/broker-auth/assemble-gate.ts';
import { openStatuses, type StatusOptions } from '../../src/broker-auth/open-statuses.ts';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import { createSteadyClock } from '../../src/core/steady-clock.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { readOcspRequest } from '../../src/x509/ocsp-request.ts';
import { encodeOcspFailure } from '../../src/x509/ocsp-response.ts';
import { toPem } from '../../src/x509/pem.ts';
import { NOW, type Party } from '../x509/path/make-certificate.ts';
import { makeCrl } from '../x509/path/make-crl.ts';
import { MINUTE } from './crl/listed.ts';
import { makeMaker, policyConfig, reasonOf, testBroker } from './lab.ts';
import { makeAnswer } from './ocsp/make-answer.ts';

const maker = makeMaker('own');
const device = maker.device('dev1');
const other = maker.device('dev2');

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface Web {
  readonly url: string;
  readonly asked: string[];
  answer: Handler;
}

async function openWeb(answer: Handler): Promise<Web> {
  const web = { url: '', asked: [] as string[], answer };
  const server = createServer((request, response) => {
    web.asked.push(`${request.method} ${request.url}`);
    web.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const place = server.address();
  web.url = `http://127.0.0.1:${typeof place === 'object' && place !== null ? place.port : 0}`;
  return web;
}

function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-statuses-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('it did not come');
    await sleep(5);
  }
}

async function openGate(changes: Partial<StatusOptions> & Pick<StatusOptions, 'folder'>, at = NOW) {
  const faults: string[] = [];
  const clock = () => at;
  const statuses = await openStatuses({
    lists: [],
    responders: [],
    clock,
    steady: createSteadyClock(clock, () => performance.now()),
    random: (size) => new Uint8Array(size),
    onFault: (place, why) => faults.push(`${place}: ${why}`),
    onError: (error) => faults.push(String(error)),
    ...changes,
  });
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= statuses.close();
    return closing;
  };
  onTestFinished(close);
  const broker = testBroker();
  const { gate, enforcer } = assembleGate({
    policy: parsePolicy(policyConfig(), [maker.trust]),
    sources: statuses.sources,
    staples: statuses.staples,
    drivers: [broker],
    clock,
    random: (size) => new Uint8Array(size),
    onError: (error) => faults.push(String(error)),
  });
  onTestFinished(() => enforcer.stop());
  statuses.watch(gate);
  const connect = (party: Party, clientId: string) => {
    const evidence = { level: 'certificate', leaf: party.der, chain: [maker.issuer.der] } as const;
    const attempt = { broker: 'test', listener: 'mqtt', clientId, address: '192.0.2.1', evidence };
    const verdict = gate.connect(attempt);
    if (verdict.allow) broker.live.add(verdict.session);
    return verdict;
  };
  return { statuses, gate, broker, faults, close, connect };
}

const lists = (changes: Partial<StatusOptions['lists'][number]>) => [
  { issuers: [maker.root.der, maker.issuer.der], urls: [], files: [], everyMs: 20, ...changes },
];
const ofRoot = makeCrl({ issuer: maker.root });
const ofCa = (number: number, ...revoked: readonly Party[]) =>
  makeCrl({
    issuer: maker.issuer,
    number,
    thisUpdate: NOW - 100_000 + number * 1000,
    listed: revoked.map((certificate) => ({ certificate, reason: 4 })),
  });

describe('lists from the network', () => {
  test('are fetched again and again, and who comes to stand on one is put out', async () => {
    let current = ofCa(1, other);
    const web = await openWeb((request, response) =>
      response.end(request.url === '/root' ? ofRoot : current),
    );
    const urls = [`${web.url}/root`, `${web.url}/ca`];
    const { statuses, connect, broker } = await openGate({ folder: newFolder(), lists: lists({ urls }) });
    await statuses.first;
    expect(reasonOf(connect(device, 'dev1'))).toBe('ok');
    expect(reasonOf(connect(other, 'dev2'))).toBe('revoked');
    current = ofCa(2, other, device);
    await until(() => broker.kicks.length > 0);
    expect(broker.kicks).toEqual([{ clientIds: ['dev1'], cause: 'revoked' }]);
    expect(reasonOf(connect(device, 'dev1'))).toBe('revoked');
  });

  test('are not given twice by a server that knows what it gave', async () => {
    const web = await openWeb((request, response) => {
      response.setHeader('etag', '"1"');
      if (request.headers['if-none-match'] === '"1"') response.statusCode = 304;
      response.end(response.statusCode === 304 ? undefined : ofRoot);
    });
    const { statuses } = await openGate({ folder: newFolder(), lists: lists({ urls: [`${web.url}/root`] }) });
    await statuses.first;
    await until(() => web.asked.length > 3);
    expect(statuses.listFaults.size).toBe(0);
  });

  test.each<[string, Handler, string]>([
    ['that is broken', (_, response) => response.end(ofCa(9).subarray(0, 100)), 'cannot be read'],
    ['that is older', (_, response) => response.end(ofCa(1)), 'number 1 is below 5'],
    ['that is none', (_, response) => response.end('<html>'), 'PEM'],
    ['that is not there', (_, response) => response.writeHead(404).end(), 'it answers 404'],
    ['elsewhere', (_, response) => response.writeHead(302, { location: '/' }).end(), 'cannot be fetched'],
    ['that does not end', (_, response) => endless(response), 'it does not end'],
  ])('%s leave what is held', async (_name, answer, why) => {
    const web = await openWeb((_request, response) => response.end(ofCa(5, other)));
    const urls = [`${web.url}/ca`];
    const gate = await openGate({ folder: newFolder(), lists: lists({ urls, files: [fileOf(ofRoot)] }) });
    await gate.statuses.first;
    web.answer = answer;
    await until(() => gate.faults.length > 0);
    expect(gate.faults[0]).toContain(why);
    expect(reasonOf(gate.connect(other, 'dev2'))).toBe('revoked');
    expect(reasonOf(gate.connect(device, 'dev1'))).toBe('ok');
    web.answer = (_request, response) => void response.end(ofCa(6));
    await until(() => gate.statuses.listFaults.size === 0);
    expect(reasonOf(gate.connect(other, 'dev2'))).toBe('ok');
  });

  test('make nobody wait: a server that says nothing is no hindrance', async () => {
    const web = await openWeb(() => undefined);
    const gate = await openGate({ folder: newFolder(), lists: lists({ urls: [web.url] }) });
    await until(() => web.asked.length > 0);
    const begun = performance.now();
    expect(reasonOf(gate.connect(device, 'dev1'))).toBe('statusUnknown');
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

/** A file of a folder of its own. */
function fileOf(...ders: readonly Uint8Array[]): string {
  const file = path.join(newFolder(), 'lists.pem');
  writeFileSync(file, ders.map((der) => toPem('X509 CRL', der)).join(''));
  return file;
}

function endless(response: ServerResponse): void {
  const piece = Buffer.alloc(1024 * 1024, 0x30);
  let sent = 0;
  const more = () => {
    while (sent < 80 && !response.destroyed) {
      sent += 1;
      if (!response.write(piece)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  response.on('error', () => undefined);
  more();
}

describe('after a start', () => {
  test('what was held is there at once, from files of its own, and nothing older is taken', async () => {
    const folder = newFolder();
    const file = fileOf(ofRoot, ofCa(5, other));
    const first = await openGate({ folder, lists: lists({ files: [file] }) });
    await first.statuses.first;
    await first.close();
    expect(readdirSync(folder).filter((name) => name.endsWith('.crl'))).toHaveLength(2);

    writeFileSync(file, [ofRoot, ofCa(4)].map((der) => toPem('X509 CRL', der)).join(''));
    const second = await openGate({ folder, lists: lists({ files: [file] }) });
    // Before any place was looked at.
    expect(reasonOf(second.connect(other, 'dev2'))).toBe('revoked');
    expect(reasonOf(second.connect(device, 'dev1'))).toBe('ok');
    await second.statuses.first;
    expect(second.faults.join()).toContain('number 4 is below 5');
    expect(reasonOf(second.connect(other, 'dev2'))).toBe('revoked');
  });

  test('a list that was damaged on the disk is not believed', async () => {
    const folder = newFolder();
    const first = await openGate({ folder, lists: lists({ files: [fileOf(ofRoot, ofCa(5))] }) });
    await first.statuses.first;
    await first.close();
    for (const name of readdirSync(folder))
      if (name.endsWith('.crl')) writeFileSync(path.join(folder, name), ofCa(5).subarray(0, -9));
    const second = await openGate({ folder, lists: lists({}) });
    expect(reasonOf(second.connect(device, 'dev1'))).toBe('statusUnknown');
  });

  test.each([
    ['an hour', 60 * MINUTE],
    ['a day', 86_400_000],
    ['a decade', 3652 * 86_400_000],
  ])(
    'with a clock set back by %s nothing of before is fresh, and who was revoked stays out',
    async (_name, back) => {
      const folder = newFolder();
      const first = await openGate({ folder, lists: lists({ files: [fileOf(ofRoot, ofCa(5, other))] }) });
      await first.statuses.first;
      await first.close();
      const { statuses } = await openGate({ folder, lists: lists({}) }, NOW - back);
      expect(statuses.clockFault()).toContain('the clock stands before');
      const [id] =
        (await openGate({ folder, lists: lists({}) })).gate.connect(attempt()).credential?.path ?? [];
      const [source] = statuses.sources;
      expect(id && source?.statusOf(id)).toMatchObject({ status: 'good', leftMs: Number.NEGATIVE_INFINITY });
      const revoked = { issuerKeyId: id?.issuerKeyId ?? '', serial: serialOf(other), keyHash: '' };
      expect(source?.statusOf(revoked)?.status).toBe('revoked');
    },
  );

  test('with a clock a little back it goes on', async () => {
    const folder = newFolder();
    const first = await openGate({ folder, lists: lists({ files: [fileOf(ofRoot, ofCa(5))] }) });
    await first.statuses.first;
    await first.close();
    const second = await openGate({ folder, lists: lists({}) }, NOW - 2 * MINUTE);
    expect(second.statuses.clockFault()).toBeUndefined();
    expect(reasonOf(second.connect(device, 'dev1'))).toBe('ok');
  });

  test('who only looks changes nothing', async () => {
    const folder = newFolder();
    const { close } = await openGate({ folder, readOnly: true, lists: lists({ files: [fileOf(ofRoot)] }) });
    await close();
    expect(readdirSync(folder)).toEqual([]);
  });

  function attempt() {
    const evidence = { level: 'certificate', leaf: device.der, chain: [maker.issuer.der] } as const;
    return { broker: 'test', listener: 'mqtt', clientId: 'dev1', address: '192.0.2.1', evidence };
  }
});

describe('a responder', () => {
  /** Answers for the maker's CA and root, by what is said of a serial number. */
  async function openResponder(said: Map<string, Parameters<typeof makeAnswer>[0]['status']>) {
    return openWeb((request, response) => {
      const text = decodeURIComponent(request.url?.split('/').at(-1) ?? '');
      const { certIds } = readOcspRequest(Buffer.from(text, 'base64'));
      const serial = Buffer.from(certIds[0]?.serial ?? []).toString('hex');
      const about = [device, other, maker.issuer].find((one) => serialOf(one) === serial);
      const status = said.get(serial);
      if (!about) response.end(encodeOcspFailure('unauthorized'));
      else
        response.end(
          makeAnswer({
            issuer: about === maker.issuer ? maker.root : maker.issuer,
            about,
            thisUpdate: NOW - 100_000 + web.asked.length * 1000,
            ...(status && { status }),
          }),
        );
    });
  }
  let web: Web;
  const responders = (url: string) => [
    { issuers: [maker.root.der, maker.issuer.der], url, hash: 'sha256' as const, everyMs: 1 },
  ];

  test('is asked ahead: who comes first is denied, and known the next time', async () => {
    const said = new Map<string, Parameters<typeof makeAnswer>[0]['status']>();
    web = await openResponder(said);
    const gate = await openGate({
      folder: newFolder(),
      responders: responders(web.url),
      ahead: [maker.issuer.der],
    });
    // The CA of the policy, before anybody came.
    await until(() => gate.statuses.answers.held === 1);
    expect(gate.connect(device, 'dev1')).toMatchObject({
      reason: 'statusUnknown',
      detail: expect.stringContaining('its responder is being asked'),
    });
    await until(() => gate.statuses.answers.held === 2);
    expect(gate.connect(device, 'dev1')).toMatchObject({ allow: true, status: { source: 'ocsp' } });
    expect(web.asked.every((one) => one.startsWith('GET /'))).toBe(true);

    said.set(serialOf(device), { status: 'revoked', revokedAt: NOW - 1000, reason: 1 });
    await until(() => gate.broker.kicks.length > 0);
    expect(gate.broker.kicks).toEqual([{ clientIds: ['dev1'], cause: 'compromised' }]);
    expect(reasonOf(gate.connect(device, 'dev1'))).toBe('revoked');
  });

  test.each<[string, Handler, string]>([
    ['that says tryLater', (_, response) => response.end(encodeOcspFailure('tryLater')), 'says tryLater'],
    ['that is away', (_, response) => void response.destroy(), 'cannot be asked'],
    [
      'that speaks of another',
      (_, response) => response.end(makeAnswer({ issuer: maker.issuer, about: other })),
      'says nothing of this',
    ],
    ['that talks nonsense', (_, response) => response.end('OK'), 'OCSPResponse'],
  ])('%s makes nobody good, and is told of', async (_name, answer, why) => {
    const away = await openWeb(answer);
    const gate = await openGate({ folder: newFolder(), responders: responders(away.url) });
    expect(reasonOf(gate.connect(device, 'dev1'))).toBe('statusUnknown');
    await until(() => gate.faults.some((fault) => fault.includes(why)));
    expect(gate.connect(device, 'dev1')).toMatchObject({
      reason: 'statusUnknown',
      status: { source: 'ocsp', gap: 'unreachable' },
    });
    expect([...gate.statuses.answers.faults.keys()]).toEqual([away.url]);
  });

  test('that does not know a certificate leaves it unknown', async () => {
    web = await openResponder(new Map([[serialOf(device), { status: 'unknown' }]]));
    const gate = await openGate({ folder: newFolder(), responders: responders(web.url) });
    gate.connect(device, 'dev1');
    await until(() => gate.faults.length > 0);
    const verdict = gate.connect(device, 'dev1');
    expect(verdict).toMatchObject({ detail: expect.stringContaining('does not know the certificate') });
  });

  test('need not be there at the next start, as long as its answers hold', async () => {
    web = await openResponder(new Map());
    const folder = newFolder();
    const first = await openGate({ folder, responders: responders(web.url), ahead: [maker.issuer.der] });
    first.connect(device, 'dev1');
    await until(() => first.statuses.answers.held === 2);
    await first.close();
    const away = await openWeb((_request, response) => void response.destroy());
    const second = await openGate({ folder, responders: responders(away.url) });
    expect(reasonOf(second.connect(device, 'dev1'))).toBe('ok');
  });
});

function serialOf(party: Party): string {
  return Buffer.from(parseCertificate(party.der).tbs.serial).toString('hex');
}
