// Lists with entries, as a stranger fetches them: full, delta, shards, as DER and as PEM.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCrl } from '../../src/x509/crl-reader.ts';
import { type House, PUBLIC_URL } from '../interop/house.ts';
import type { Specimen } from './make-fleet.ts';

/** A list in a file, and what the checker is to expect of it. */
export interface ListFile {
  readonly what: string;
  readonly words: readonly string[];
}

/** @returns false where there is no such list */
export async function fetchList(house: House, url: string, file: string): Promise<boolean> {
  const { status } = await house.curl(house.published(url), '-o', file);
  return status === 200;
}

/**
 * Takes certificates of each kind back in every way, and gives the lists that tell it: what was on hold in the base and is
 * released, holds, reasons, an invalidity date.
 */
export async function listsWithEntries(house: House, specimens: readonly Specimen[]): Promise<ListFile[]> {
  const files: ListFile[] = [];
  for (const kind of ['idevid', 'ldevid'] as const) {
    const ofKind = specimens.filter((one) => one.kind === kind).slice(3);
    const [superseded, ceased, held, released, good] = ofKind;
    if (!(superseded && ceased && held && released && good)) throw new Error(`too few specimens of ${kind}`);
    const serial = async ({ certificate }: Specimen) => {
      const text = await house.program('openssl', 'x509', '-in', certificate, '-noout', '-serial');
      return text.trim().replace(/^serial=/, '');
    };
    const fetch = async (name: string, list: string) => {
      const file = `${kind}-${name}`;
      if (!(await fetchList(house, `${PUBLIC_URL}/crl/${list}`, file)))
        throw new Error(`${list} is not there`);
      return path.join(house.folder, file);
    };
    const sizeOf = (file: string) => readCrl(readFileSync(file)).size;
    const fullOf = async (entries: number, name: string) => {
      for (let tries = 0; tries < 150; tries += 1) {
        const file = await fetch(name, `${kind}.crl`);
        if (sizeOf(file) === entries) return file;
        await sleep(200);
      }
      throw new Error(`the full list of ${kind} has not got ${entries} entries`);
    };
    const add = (what: string, file: string, ...words: readonly string[]) =>
      files.push({ what: `${kind}: ${what}`, words: [file, '--issuer', house.pem(kind), ...words] });

    await house.must('hold', '--serial', await serial(released));
    const before = await fullOf(1, 'before.crl');
    const earlier = await fetch('earlier-delta.crl', `${kind}/delta.crl`);
    await house.must('revoke', '--serial', await serial(superseded), '--reason', 'superseded');
    const since = ['--invalidity-date', '2026-01-02T03:04:05Z'];
    await house.must(
      'revoke',
      '--serial',
      await serial(ceased),
      '--reason',
      'cessationOfOperation',
      ...since,
    );
    await house.must('hold', '--serial', await serial(held));
    await house.must('unhold', '--serial', await serial(released));
    const gone = (await Promise.all([superseded, ceased, held].map(serial))).join(',');
    const stand = (await Promise.all([released, good].map(serial))).join(',');
    const told = ['--expect-revoked', gone, '--expect-not-revoked', stand];
    const whole = ['--kind', 'full', '--expect-count', '3', '--prev', before];
    const subject = ['--cert', path.join(house.folder, good.certificate)];

    const delta = await fetch('delta.crl', `${kind}/delta.crl`);
    add(
      'a delta with an entry removed',
      delta,
      '--kind',
      'delta',
      '--base',
      before,
      '--prev',
      earlier,
      ...told,
    );
    add(
      'the same as PEM',
      await fetch('delta.pem', `${kind}/delta.pem`),
      '--kind',
      'delta',
      '--base',
      before,
      ...told,
    );
    const full = await fullOf(3, 'after.crl');
    add('a full list', full, ...whole, ...told, ...subject);
    add('the same as PEM', await fetch('after.pem', `${kind}.pem`), ...whole, ...told, ...subject);
    const together = await fetch('together.crl', `${kind}/delta.crl`);
    add(
      'the delta of the same number',
      together,
      '--kind',
      'delta',
      '--base',
      before,
      '--prev',
      delta,
      ...told,
    );
    let listed = 0;
    for (let shard = 0; ; shard += 1) {
      const url = `${PUBLIC_URL}/crl/${kind}/${shard}.crl`;
      const file = `${kind}-${shard}-after.crl`;
      if (!(await fetchList(house, url, file))) break;
      const at = path.join(house.folder, file);
      listed += sizeOf(at);
      const prev = ['--prev', path.join(house.folder, `${kind}-${shard}.crl`)];
      add(
        `shard ${shard}`,
        at,
        '--kind',
        'partition',
        '--expect-dp',
        url,
        '--expect-not-revoked',
        stand,
        ...prev,
      );
    }
    if (listed !== 3) throw new Error(`the shards of ${kind} have ${listed} entries where 3 belong`);
  }
  return files;
}
