import { Duplex } from 'node:stream';

/**
 * A stream that is there at once, while the connection behind it is still being made: for clients that want a stream and no
 * promise of one. What is written meanwhile waits.
 */
export function lateStream(connection: Promise<Duplex>): Duplex {
  let inner: Duplex | undefined;
  const stream = new Duplex({
    construct: (done) => {
      connection.then((made) => {
        inner = made;
        made.on('data', (part: Buffer) => {
          if (!stream.push(part)) made.pause();
        });
        made.on('end', () => stream.push(null));
        made.on('error', (error) => stream.destroy(error));
        made.on('close', () => stream.destroy());
        made.pause();
        done();
      }, done);
    },
    read: () => void inner?.resume(),
    write: (part: Buffer, _encoding, done) => {
      if (inner?.write(part)) done();
      else if (inner) inner.once('drain', () => done());
    },
    final: (done) => {
      inner?.end();
      done();
    },
    destroy: (error, done) => {
      // One that is still being made is not needed any more either.
      connection.then(
        (made) => made.destroy(),
        () => undefined,
      );
      done(error);
    },
  });
  return stream;
}
