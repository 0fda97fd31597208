import { Gauge, type Registry } from 'prom-client';
import type { SteadyClock } from '../core/steady-clock.ts';
import { nameToText } from '../x509/name.ts';
import type { Statuses } from './open-statuses.ts';

/** Numbers of lists and answers, by CA. */
export function createStatusMetrics(registry: Registry, statuses: Statuses, steady: SteadyClock): void {
  const registers = [registry];
  const labelNames = ['issuer'];
  const ofLists = (
    set: (
      gauge: Gauge,
      issuer: string,
      held: readonly { asOf: number; until: number; size: number }[],
    ) => void,
  ) =>
    function collect(this: Gauge) {
      this.reset();
      for (const { certificate, keyIdText } of statuses.lists.issuers) {
        const held = (statuses.lists.slotsOf(keyIdText) ?? []).flatMap(({ base, delta }) =>
          [base, delta].flatMap((list) =>
            list ? [{ asOf: list.asOf, until: list.until, size: list.table.size }] : [],
          ),
        );
        if (held.length > 0) set(this, nameToText(certificate.tbs.subject), held);
      }
    };
  new Gauge({
    name: 'birthmark_gate_list_age_seconds',
    help: 'Age of the oldest revocation list that is held of a CA, by its thisUpdate.',
    ...{ labelNames, registers },
    collect: ofLists((gauge, issuer, held) =>
      gauge.set({ issuer }, (steady.now() - Math.min(...held.map(({ asOf }) => asOf))) / 1000),
    ),
  });
  new Gauge({
    name: 'birthmark_gate_list_left_seconds',
    help: 'Until the first of the lists that are held of a CA ends (nextUpdate); below 0 where it is over.',
    ...{ labelNames, registers },
    collect: ofLists((gauge, issuer, held) =>
      gauge.set({ issuer }, (Math.min(...held.map(({ until }) => until)) - steady.now()) / 1000),
    ),
  });
  new Gauge({
    name: 'birthmark_gate_list_entries',
    help: 'Certificates on the lists that are held of a CA.',
    ...{ labelNames, registers },
    collect: ofLists((gauge, issuer, held) =>
      gauge.set(
        { issuer },
        held.reduce((sum, { size }) => sum + size, 0),
      ),
    ),
  });
  new Gauge({
    name: 'birthmark_gate_list_faults',
    help: 'Places that gave no list that may be used when they were last looked at.',
    registers,
    collect() {
      this.set(statuses.listFaults.size);
    },
  });
  new Gauge({
    name: 'birthmark_gate_ocsp_certificates',
    help: 'Certificates whose status is asked for ahead (wanted), and of how many an answer is held.',
    labelNames: ['state'],
    registers,
    collect() {
      this.set({ state: 'wanted' }, statuses.answers.wanted);
      this.set({ state: 'held' }, statuses.answers.held);
    },
  });
  new Gauge({
    name: 'birthmark_gate_ocsp_faults',
    help: 'Responders that gave no answer that may be used when they were last asked.',
    registers,
    collect() {
      this.set(statuses.answers.faults.size);
    },
  });
}
