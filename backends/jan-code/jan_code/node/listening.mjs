// The thread that reads what the server sends. Once the server is gone, so is this process, whatever the code is at.

import { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const HEADER = 8;
let rest = Buffer.alloc(0);

function gone() {
  for (const id of [-process.pid, process.pid]) {
    try {
      process.kill(id, "SIGKILL"); // the group, where this process has one of its own: what it started goes too
    } catch {
      continue;
    }
  }
}

const socket = new Socket({ fd: workerData.incoming, readable: true, writable: false });
socket.on("data", (data) => {
  rest = rest.length ? Buffer.concat([rest, data]) : data;
  while (rest.length >= HEADER) {
    const length = rest.readUInt32BE(4);
    if (rest.length < HEADER + length) break;
    parentPort.postMessage(JSON.parse(rest.toString("utf8", HEADER, HEADER + length)));
    rest = rest.subarray(HEADER + length);
  }
});
socket.on("error", gone);
socket.on("close", gone);
socket.on("end", gone);
