// The server that `relay-loadtest --peer socketio` speaks with: agents with tokens, a room for each agent and each topic.
//
// PORT, TOKEN_SECRET (HS256) and, for several servers, REDIS_URL. Set up as socket.io/docs/v4/performance-tuning and
// /memory-usage advise: WebSocket alone, the native add-ons of `ws`, no compression, the first HTTP request let go.
import { createServer } from "node:http";

import { createAdapter } from "@socket.io/redis-adapter";
import jwt from "jsonwebtoken";
import { createClient } from "redis";
import { Server } from "socket.io";

const { PORT, TOKEN_SECRET, REDIS_URL } = process.env;

const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

if (REDIS_URL) {
  const publisher = createClient({ url: REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}

io.engine.on("connection", (raw) => {
  raw.request = null;
});

io.use((socket, next) => {
  try {
    const { sub, tid } = jwt.verify(socket.handshake.auth.token, TOKEN_SECRET, { algorithms: ["HS256"] });
    socket.data = { address: `agent/${sub}`, tenant: tid };
    next();
  } catch {
    next(new Error("unauthorized"));
  }
});

io.on("connection", (socket) => {
  const { address, tenant } = socket.data;
  const room = (name) => `${tenant}.${name}`;
  socket.join(room(address));
  socket.on("subscribe", (topic, done) => {
    socket.join(room(`topic/${topic}`));
    done();
  });
  socket.on("send", (to, payload) => io.to(room(to)).emit("message", address, to, payload));
});

server.listen(Number(PORT), "127.0.0.1");
