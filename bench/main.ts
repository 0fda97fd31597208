import { benchCampaign } from './campaign.ts';
import { benchAct } from './crl/act.ts';
import { benchFull } from './crl/full.ts';
import { benchOne } from './crl/one.ts';
import { benchStart } from './crl/start.ts';
import { benchCrl } from './crl.ts';
import { benchDoors } from './doors.ts';
import { benchEst } from './est.ts';
import { benchIssue } from './issue.ts';
import { benchKick } from './kick.ts';
import { benchOcsp } from './ocsp.ts';
import { benchScale } from './scale.ts';
import { benchVerify } from './verify.ts';

const args = process.argv.slice(2);

/**
 * `npm run bench -- NAME [--json] [--quick]`; no name: all of them, and those of `PARTS` within others. Quick: a small size of what has
 * one, which tells whether it runs.
 */
const BENCHES: Readonly<Record<string, (say: (text: string) => void) => Promise<object>>> = {
  issue: benchIssue,
  crl: benchCrl,
  doors: benchDoors,
  est: benchEst,
  ocsp: benchOcsp,
  scale: benchScale,
  verify: benchVerify,
  kick: benchKick,
  campaign: (say) => benchCampaign(say, args.includes('--quick')),
};
const PARTS: typeof BENCHES = {
  'crl-full': benchFull,
  'crl-one': benchOne,
  'crl-act': benchAct,
  'crl-start': benchStart,
};

const json = args.includes('--json');
const names = args.filter((arg) => !arg.startsWith('-'));
const unknown = names.find((name) => !(name in BENCHES || name in PARTS));
if (
  unknown !== undefined ||
  args.some((arg) => arg.startsWith('-') && arg !== '--json' && arg !== '--quick')
) {
  console.error(
    `usage: npm run bench -- [${Object.keys({ ...BENCHES, ...PARTS }).join(' | ')}] [--json] [--quick]`,
  );
  process.exit(2);
}
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const bench = BENCHES[name] ?? PARTS[name];
  if (!bench) continue;
  const result = await bench((text) => console.error(`${name}: ${text}`));
  if (json) console.log(JSON.stringify(names.length === 1 ? result : { [name]: result }));
  else console.table(Object.fromEntries(rows(result, '').map(([key, value]) => [key, { [name]: value }])));
}

/** Members of members get a row of their own: a table shows no objects. */
function rows(result: object, prefix: string): [string, unknown][] {
  return Object.entries(result).flatMap(([key, value]): [string, unknown][] =>
    typeof value === 'object' && value !== null ? rows(value, `${prefix}${key}.`) : [[prefix + key, value]],
  );
}
