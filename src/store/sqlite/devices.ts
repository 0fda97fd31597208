import { BirthmarkError } from '../../core/errors.ts';
import type { DeviceReads, DeviceWrites } from '../../fleet/ports.ts';
import type { Connection } from './connection.ts';
import { deviceLifeReads, deviceLifeWrites } from './device-life.ts';
import { credentialSearch } from './find-credential.ts';
import { later } from './later.ts';
import { type DevicesTable, toDevice } from './rows.ts';

export function deviceReads(connection: Connection): DeviceReads {
  const { db, call } = connection;
  const find = db.prepare<[string, string], DevicesTable>(
    'SELECT * FROM devices WHERE namespace = ? AND serial_number = ?',
  );
  const findById = db.prepare<[number], DevicesTable>('SELECT * FROM devices WHERE id = ?');
  return {
    findDevices: (keys) =>
      call(() =>
        keys.map(({ namespace, serialNumber }) => {
          const row = find.get(namespace, serialNumber);
          return row && toDevice(row);
        }),
      ),
    findDevicesById: (ids) =>
      call(() =>
        ids.map((id) => {
          const row = findById.get(id);
          return row && toDevice(row);
        }),
      ),
    searchDevices: later(async () => {
      const { deviceSearch } = await import('./search-devices.ts');
      return deviceSearch(connection);
    }),
    ...credentialSearch(connection),
    ...deviceLifeReads(connection),
  };
}

export function deviceWrites(connection: Connection): Omit<DeviceWrites, keyof DeviceReads> {
  const { db, call } = connection;
  const add = db.prepare<unknown[]>(
    `INSERT INTO devices (namespace, serial_number, model, batch, hw_type, hw_serial_num, state, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const label = db.prepare<[string]>('INSERT OR IGNORE INTO device_labels (label) VALUES (?)');
  const setRebirth = db.prepare<[number, number]>('UPDATE devices SET rebirth_allowed = ? WHERE id = ?');
  return {
    addDevices: (devices) =>
      call(() => {
        const labels = new Set<string>();
        const ids = devices.map(({ namespace, serialNumber, model, batch, hardware, state, createdAt }) => {
          if (model !== undefined) labels.add(model);
          if (batch !== undefined) labels.add(batch);
          const { hwType = null, hwSerialNum = null } = hardware ?? {};
          const { lastInsertRowid } = add.run(
            namespace,
            serialNumber,
            model ?? null,
            batch ?? null,
            hwType,
            hwSerialNum,
            state,
            createdAt,
          );
          return Number(lastInsertRowid);
        });
        for (const text of labels) label.run(text);
        return ids;
      }),
    setRebirthAllowed: (deviceId, allowed) =>
      call(() => {
        if (setRebirth.run(allowed ? 1 : 0, deviceId).changes === 0)
          throw new BirthmarkError('device-unknown', 'the ledger has no such device');
      }),
    ...deviceLifeWrites(connection),
  };
}
