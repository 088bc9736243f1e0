-- Joins offered values of channels into each device's hash, as LiveValues::merge does;
-- values.rs beside this has the layout. Then tells the stream whose values moved, in one
-- record (tell.lua, which is put before this). KEYS: the stream, its counter, its origin, then
-- one hash a device, no device twice. ARGV: now_ms, ttl_ms, channels that a device may have,
-- entries that the stream keeps, the counter's first value, then for each device its number
-- (4 bytes), when its values were seen, how many are offered, and of each the field and the
-- value. On a cluster the stream is elsewhere: without its keys and with '' for the two
-- arguments, what moved is answered. Numbers here are doubles: times have 48 bits, and
-- versions are compared in parts of 32.
local now, ttl, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local call, numbers, byte = redis.call, struct.unpack, string.byte

-- Whether a field is of this version; one of another is left alone (docs/decisions/0047).
local function known(value)
    return byte(value) == 1 and #value > 22
end

-- What orders values, the most important first, as `ValueVersion` in live/values.rs.
local function order(value)
    local recorded_high, recorded_low, hash_high, hash_low, high, low =
        numbers('>xxI2I4I4I4I2I4', value)
    local recorded, received = recorded_high * 4294967296 + recorded_low, high * 4294967296 + low
    local effective = math.min(recorded, received)
    return effective, recorded - effective <= 60000 and 1 or 0, recorded, hash_high, hash_low,
        -received
end

local function newer(a, b)
    local ours, theirs = {order(a)}, {order(b)}
    for i = 1, #ours do
        if ours[i] ~= theirs[i] then return ours[i] > theirs[i] end
    end
    return false
end

-- By bytes: comparison of strings follows the server's locale. The unit stands behind a 0, so
-- one without a unit comes first, as `None` does.
local function behind(a, b)
    for i = 1, math.min(#a, #b) do
        if byte(a, i) ~= byte(b, i) then return byte(a, i) > byte(b, i) end
    end
    return #a > #b
end

-- Lets the oldest values beyond the bound go.
local function bound(key)
    if call('HLEN', key) <= most + 1 then return end
    local all, held, values = call('HGETALL', key), {}, {}
    for i = 1, #all, 2 do
        if all[i] ~= '' and known(all[i + 1]) then
            held[#held + 1] = all[i]
            values[all[i]] = all[i + 1]
        end
    end
    table.sort(held, function(a, b)
        if newer(values[a], values[b]) then return true end
        if newer(values[b], values[a]) then return false end
        return behind(a, b)
    end)
    for i = most + 1, #held do call('HDEL', key, held[i]) end
end

local others = ARGV[4] ~= '' and 3 or 0
local at, moved, pieces = 6, 0, {}
for i = others + 1, #KEYS do
    local key, device, seen, count = KEYS[i], ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    at = at + 3
    local held_seen = tonumber(call('HGET', key, '') or '0') or 0
    if held_seen > 0 and held_seen + ttl <= now then
        call('DEL', key)
        held_seen = 0
    end
    local fields, set = {}, {}
    for n = 1, count do fields[n] = ARGV[at + 2 * n - 2] end
    local held = call('HMGET', key, unpack(fields))
    for n = 1, count do
        local offered = ARGV[at + 2 * n - 1]
        if not held[n] or (known(held[n]) and newer(offered, held[n])) then
            set[#set + 1] = fields[n]
            set[#set + 1] = offered
        end
    end
    at = at + 2 * count
    local changed = #set > 0
    if seen > held_seen then
        set[#set + 1] = ''
        set[#set + 1] = string.format('%.0f', seen)
    else
        seen = held_seen
    end
    if #set > 0 then call('HSET', key, unpack(set)) end
    call('PEXPIRE', key, string.format('%.0f', seen + ttl - now))
    if changed then
        bound(key)
        local high = math.floor(seen / 4294967296)
        moved = moved + 1
        -- As the stream has a device that was merely heard.
        pieces[moved] = device .. '\8\1\0' .. struct.pack('>I2I4', high, seen - high * 4294967296)
    end
end
local record = table.concat(pieces)
if others == 0 then return {moved, record} end
tell(KEYS[1], KEYS[2], KEYS[3], ARGV[4], ARGV[5], moved, record, 'values')
return moved
