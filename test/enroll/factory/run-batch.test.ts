import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { operatorAdmission } from '../../../src/enroll/admission.ts';
import type { Enroller } from '../../../src/enroll/enroller.ts';
import { type BatchOptions, runBatch } from '../../../src/enroll/factory/run-batch.ts';
import { newCsr, newKey, openTestHouse, type TestHouse } from '../../house.ts';

interface Answer {
  readonly serialNumber?: string;
  readonly line?: number;
  readonly serial?: string;
  readonly error?: { readonly code: string };
}

function options(house: TestHouse, changes: Partial<BatchOptions> = {}): BatchOptions {
  return {
    profile: house.issuing.profile('idevid'),
    admission: operatorAdmission('operator:test'),
    enroll: house.enroll,
    admit: (request) => request,
    ...changes,
  };
}

function line(serialNumber: string, key = newKey()): string {
  return JSON.stringify({ serialNumber, csr: newCsr(key).toString('base64') });
}

async function* stream(...pieces: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

async function answers(batch: AsyncIterable<Buffer>): Promise<Answer[]> {
  let text = '';
  for await (const piece of batch) text += piece;
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text
    .split('\n')
    .slice(0, -1)
    .map((one): Answer => JSON.parse(one));
}

/** `SN-1`, `SN-1 CODE`, or `line 3 CODE`. */
function brief({ serialNumber, line: number, error }: Answer): string {
  return `${serialNumber ?? `line ${number}`}${error ? ` ${error.code}` : ''}`;
}

test('answers each line in its place; a bad one stops nothing', async () => {
  using house = await openTestHouse();
  const key = newKey();
  const input = [
    line('SN-1', key),
    'no json',
    line('SN-2', key),
    '',
    `{"serialNumber":"SN-3","csr":"${'A'.repeat(70_000)}"}`,
    line('SN-4'),
    JSON.stringify({ serialNumber: 'SN-5', csr: Buffer.from('30', 'hex').toString('base64') }),
    line('SN-1', key),
  ].join('\n');
  const found = await answers(runBatch(stream(input), options(house)));
  expect(found.map(brief)).toEqual([
    'SN-1',
    'line 2 bad-json',
    'SN-2 key-in-use',
    'line 4 bad-json',
    'line 5 line-too-long',
    'SN-4',
    'SN-5 bad-der',
    'SN-1',
  ]);
  expect(found.at(-1)).toEqual(found[0]);
});

test('counts lines over all pieces, groups and refusals', async () => {
  using house = await openTestHouse();
  const input = Array.from({ length: 1500 }, (_, at) => (at % 2 === 0 ? '{' : `"${at}"`)).join('\n');
  const found = await answers(runBatch(stream(input.slice(0, 700), input.slice(700)), options(house)));
  expect(found.map(({ line: number }) => number)).toEqual(Array.from({ length: 1500 }, (_, at) => at + 1));
});

test('an empty batch has an empty answer', async () => {
  using house = await openTestHouse();
  expect(await answers(runBatch(stream(), options(house)))).toEqual([]);
});

test('octets that are no UTF-8 are refused, not repaired', async () => {
  using house = await openTestHouse();
  const csr = newCsr().toString('base64');
  const broken = Buffer.from(`{"serialNumber":"SN-1","csr":"${csr}","model":"p\xfcmp"}\n`, 'latin1');
  const whole = Buffer.from(`{"serialNumber":"SN-1","csr":"${csr}","model":"pümp"}\n`);
  expect((await answers(runBatch(stream(broken), options(house)))).map(brief)).toEqual(['line 1 bad-json']);
  expect((await answers(runBatch(stream(whole), options(house)))).map(brief)).toEqual(['SN-1']);
});

test('who waits for each answer before the next line gets it', async () => {
  using house = await openTestHouse();
  let send = (_: Buffer | undefined): void => undefined;
  async function* source() {
    for (;;) {
      const piece = await new Promise<Buffer | undefined>((resolve) => {
        send = resolve;
      });
      if (!piece) return;
      yield piece;
    }
  }
  const batch = runBatch(source(), options(house));
  for (let at = 0; at < 5; at += 1) {
    const answer = batch.next();
    await setImmediate();
    send(Buffer.from(`${line(`SN-${at}`)}\n`));
    const { value } = await answer;
    expect(JSON.parse(String(value)).serialNumber).toBe(`SN-${at}`);
  }
  const end = batch.next();
  await setImmediate();
  send(undefined);
  expect((await end).done).toBe(true);
});

test('what one line costs is judged before its CSR is read', async () => {
  using house = await openTestHouse();
  const asked: number[] = [];
  const enroll: Enroller = (requests, admission) => {
    asked.push(requests.length);
    return house.enroll(requests, admission);
  };
  const admit: BatchOptions['admit'] = (request) => {
    if (request.device.serialNumber === 'SN-1')
      throw new BirthmarkError('serial-number-not-allowed', 'not this one');
    return { ...request, batch: 'B1' };
  };
  const found = await answers(
    runBatch(stream(`${line('SN-1')}\n${line('SN-2')}\n`), options(house, { enroll, admit })),
  );
  expect(found.map(brief)).toEqual(['SN-1 serial-number-not-allowed', 'SN-2']);
  expect(asked).toEqual([1]);
  const [device] = await house.ledger.read.findDevices([{ namespace: 'own', serialNumber: 'SN-2' }]);
  expect(device?.batch).toBe('B1');
});

describe('memory', () => {
  test('is bounded: of an endless stream few groups are under way, and nothing more is read', async () => {
    using house = await openTestHouse();
    let read = 0;
    let closed = false;
    async function* endless() {
      try {
        for (;;) {
          read += 1;
          yield Buffer.from('x\n'.repeat(100));
        }
      } finally {
        closed = true;
      }
    }
    let underWay = 0;
    let most = 0;
    const stuck = Promise.withResolvers<void>();
    const enroll: Enroller = async () => {
      underWay += 1;
      most = Math.max(most, underWay);
      await stuck.promise;
      underWay -= 1;
      return [];
    };
    const batch = runBatch(endless(), options(house, { enroll }));
    const first = batch.next();
    for (let at = 0; at < 200; at += 1) await setImmediate();
    expect(most).toBeLessThanOrEqual(3);
    expect(read).toBeLessThan(40);
    stuck.resolve();
    await first;
    await batch.return(undefined);
    for (let at = 0; at < 20; at += 1) await setImmediate();
    expect(closed).toBe(true);
  });
});

test('a client that goes away ends the batch with its error; what was reserved is kept', async () => {
  using house = await openTestHouse();
  async function* broken() {
    yield Buffer.from(`${line('SN-1')}\n`);
    throw new Error('aborted');
  }
  const seen: string[] = [];
  const reading = (async () => {
    for await (const piece of runBatch(broken(), options(house))) seen.push(piece.toString('utf8'));
  })();
  await expect(reading).rejects.toThrow('aborted');
});

test('a clock that went back is told on each line, and the stream goes on', async () => {
  using house = await openTestHouse();
  await house.grant('SN-0');
  house.clock.pass(-3_600_000);
  const back = await answers(runBatch(stream(`${line('SN-1')}\nx\n${line('SN-2')}\n`), options(house)));
  expect(back.map(brief)).toEqual(['SN-1 clock-went-back', 'line 2 bad-json', 'SN-2 clock-went-back']);
  house.clock.pass(3_600_000);
  expect((await answers(runBatch(stream(line('SN-1')), options(house)))).map(brief)).toEqual(['SN-1']);
});
