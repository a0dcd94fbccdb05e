-- wrk script: chat calls, each with a prompt of its own (miss) or all alike (hit); prints figures as one JSON line.
-- Arguments: file with a credential a line; "json", "sse" or "sse+usage" (the caller asks for token counts in the stream);
-- "miss" or "hit"; at which line to begin; and headers as "name: value". "refused" are answers with a status of 400 or more.
local count, turn = 0, 0
local credentials = {}

function init(args)
  wrk.method = "POST"
  wrk.path = "/v1/chat/completions"
  wrk.headers["content-type"] = "application/json"
  for line in io.lines(args[1]) do credentials[#credentials + 1] = "Bearer " .. line end
  turn = tonumber(args[4]) or 0
  for at = 5, #args do
    local name, value = args[at]:match("^(.-): (.*)$")
    wrk.headers[name] = value
  end
  stream = ({ json = "false", sse = "true", ["sse+usage"] = 'true,"stream_options":{"include_usage":true}' })[args[2]]
  fresh = args[3] == "miss"
  -- Prompts must differ between runs too.
  run = fresh and tostring(os.time()) .. tostring({}):sub(8) or "same"
  filler = string.rep("The quick brown fox jumps over the lazy dog. ", 20)
end

function request()
  if fresh then count = count + 1 end
  wrk.headers["authorization"] = credentials[turn % #credentials + 1]
  turn = turn + 1
  return wrk.format(nil, nil, nil,
    '{"model":"gpt-4.1","stream":' .. stream .. ',"messages":[{"role":"system","content":"' .. filler ..
    '"},{"role":"user","content":"Question ' .. run .. "-" .. count .. '"}]}')
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"p50_us":%d,"p99_us":%d,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
