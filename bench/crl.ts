import { type ActResult, benchAct } from './crl/act.ts';
import { benchFull, type FullResult } from './crl/full.ts';
import { benchOne, type OneResult } from './crl/one.ts';
import { benchStart, type StartResult } from './crl/start.ts';

export interface CrlResult {
  readonly full: FullResult;
  readonly one: OneResult;
  readonly act: ActResult;
  readonly start: StartResult;
}

export async function benchCrl(say: (text: string) => void): Promise<CrlResult> {
  const full = await benchFull(say);
  const one = await benchOne(say);
  const act = await benchAct(say);
  return { full, one, act, start: await benchStart(say) };
}
