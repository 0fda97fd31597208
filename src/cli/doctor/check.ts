import { BirthmarkError } from '../../core/errors.ts';

/** What one look at a home found. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  /** What to do, where it is not ok. */
  readonly todo?: string;
}

export const ok = (name: string, detail: string): Check => ({ name, state: 'ok', detail });
export const warning = (name: string, detail: string, todo: string): Check => ({
  name,
  state: 'warning',
  detail,
  todo,
});
export const failed = (name: string, detail: string, todo: string): Check => ({
  name,
  state: 'failed',
  detail,
  todo,
});

/** Runs a look; what it throws is what it found. Messages of ours say what to do themselves. */
export async function look(
  name: string,
  run: () => Promise<readonly Check[]> | readonly Check[],
): Promise<readonly Check[]> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BirthmarkError)
      return [{ name, state: 'failed', detail: `${error.message} [${error.code}]` }];
    return [{ name, state: 'failed', detail: error instanceof Error ? error.message : String(error) }];
  }
}

/** A moment as people read it. */
export function dateOf(moment: number): string {
  return new Date(moment).toISOString().slice(0, 19).replace('T', ' ');
}

const LAST_PART = 10;

/** Judges a certificate's time: what has less than a tenth of it left needs somebody. */
export function judgeTime(
  name: string,
  { notBefore, notAfter }: { readonly notBefore: number; readonly notAfter: number },
  now: number,
  todo: string,
): Check {
  if (now < notBefore)
    return failed(name, `is not valid before ${dateOf(notBefore)}`, 'set the clock of this machine');
  if (now >= notAfter) return failed(name, `ended on ${dateOf(notAfter)}`, todo);
  const detail = `good until ${dateOf(notAfter)}`;
  return notAfter - now < (notAfter - notBefore) / LAST_PART ? warning(name, detail, todo) : ok(name, detail);
}
