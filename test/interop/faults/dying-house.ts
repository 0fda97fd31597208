// The real house with the real listeners. Right after the Nth time of a step of issuance the process is gone, as in a
// power cut: `dying-house.ts STEP N HOME READY_FILE`.
import { createIssuingRoom } from '../../../src/ca/issuing-room.ts';
import { publishedUrls } from '../../../src/ca/published-urls.ts';
import { loadConfig } from '../../../src/cli/config/load-config.ts';
import { homeAt } from '../../../src/cli/home.ts';
import { apiOptions, ocspResponder, tlsIdentity } from '../../../src/cli/serve/house-options.ts';
import { openHouse } from '../../../src/cli/wire.ts';
import { writeDurably } from '../../../src/core/durable-file.ts';
import { createDeviceDoor } from '../../../src/enroll/device-door.ts';
import { createEnroller } from '../../../src/enroll/enroller.ts';
import { createIdentifier } from '../../../src/enroll/identify.ts';
import type { Ledger, LedgerTx } from '../../../src/enroll/ports.ts';
import { listen } from '../../../src/server/listeners.ts';

const [dyingStep = '', times = '1', folder = '', readyFile = ''] = process.argv.slice(2);
let left = Number(times);

function passed(step: 'prepare' | 'reserve' | 'sign' | 'commit'): void {
  if (step !== dyingStep) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

const home = homeAt(folder);
const loaded = loadConfig(home.config);
const house = await openHouse(home, loaded, {});
const { config, profiles } = loaded;

const authorities = new Map(
  [...house.authorities].map(([name, authority]) => {
    const { signer } = authority;
    const sign = async (tbs: Uint8Array) => {
      const signature = await signer.sign(tbs);
      passed('sign');
      return signature;
    };
    return [name, { ...authority, signer: { ...signer, sign } }];
  }),
);
const ledger: Ledger = {
  read: house.ledger.read,
  write: async (work) => {
    let done: 'reserve' | 'commit' | undefined;
    const watched = (tx: LedgerTx): LedgerTx => ({
      ...tx,
      reserve: (reservations) => {
        // All is prepared; devices, keys and the ticket's binding are written, and not committed.
        passed('prepare');
        if (reservations.length > 0) done = 'reserve';
        return tx.reserve(reservations);
      },
      commit: (signed) => {
        done = 'commit';
        return tx.commit(signed);
      },
    });
    const outcome = await house.ledger.write((tx) => work(watched(tx)));
    if (done !== undefined) passed(done);
    return outcome;
  },
};
const issuing = createIssuingRoom({
  authorities,
  profiles,
  urls: publishedUrls(config.publicUrl),
  shards: config.crl.shards,
  random: house.random,
  mayIssue: () => true,
});
const { maxUnseen } = house.rotation;
const enroll = createEnroller({
  ledger,
  issuing,
  keyLimits: config.keyPolicy,
  maxUnseen,
  clock: house.clock,
});
const devices = createDeviceDoor({
  ledger,
  enroll,
  identify: createIdentifier({ ledger, authorities, issuing }),
  uses: house.uses,
  clock: house.clock,
});
const { addresses } = await listen({
  api: apiOptions({ ...house, issuing, enroll, devices }),
  authorities,
  ocsp: ocspResponder(house),
  tls: tlsIdentity(house),
  at: { ...config.listen, publicPort: 0, tlsPort: 0 },
});
writeDurably(readyFile, JSON.stringify(addresses), 0o644);
