-- Joins one offered value into each key, as LiveEntry::merge does; value.rs has
-- the layout. Then tells the stream what moved, in one record (tell.lua, which is
-- put before this). KEYS: the stream, its counter, its origin, then one key a device, no
-- device twice. ARGV: now_ms, ttl_ms, since_ms, what is offered (for each key its device,
-- the value's length, the value, as the stream is told it), its kind ('live', or
-- 'historical' for the keys of what devices sent from memory, which never expire), entries
-- that the stream keeps, the counter's first value. On a cluster the stream is elsewhere:
-- without its keys and the last two arguments, what moved is answered. Numbers here are
-- doubles: times have 48 bits, and versions are compared in parts of 32, since string
-- comparison follows the server's locale.
local now, ttl, since = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local records, kind = ARGV[4], ARGV[5]
local call, unpack_numbers, cut, byte = redis.call, struct.unpack, string.sub, string.byte
-- Length of a value by its parts byte.
local lengths = {[0] = 8, [1] = 50, [2] = 50, [3] = 92, [7] = 50}

-- seen, newest block, fix block; nothing for a value of an unknown version or length.
local function split(value)
    if not value or #value < 8 then return nil end
    local version, parts, high, low = unpack_numbers('>BBI2I4', value)
    if version ~= 1 or lengths[parts] ~= #value then return nil end
    local seen = high * 4294967296 + low
    if parts == 7 then
        local both = cut(value, 9)
        return seen, both, both
    elseif parts == 3 then
        return seen, cut(value, 9, 50), cut(value, 51)
    elseif parts == 1 then
        return seen, cut(value, 9), false
    elseif parts == 2 then
        return seen, false, cut(value, 9)
    end
    return seen, false, false
end

-- What orders a block, the most important first, as `Version` in entry.rs: its time,
-- but no later than its arrival; whether the two are no more than 60 s apart if it is
-- ahead; its time, its hash, and the earlier arrival of one frame.
local function order(block)
    local recorded, hash_high, hash_low, high, low = unpack_numbers('>I4I4I4I2I4', block)
    local received = high * 4294967296 + low
    local arrived = math.min(math.floor(received / 1000), 4294967295)
    return math.min(recorded, arrived), recorded - arrived <= 60 and 1 or 0, recorded,
        hash_high, hash_low, -received
end

local function newer(a, b)
    if a == b or not b then return a end
    if not a then return b end
    local ours, theirs = {order(a)}, {order(b)}
    for i = 1, #ours do
        if ours[i] ~= theirs[i] then return ours[i] > theirs[i] and a or b end
    end
    return a
end

local function join(seen, newest, fix)
    local high = math.floor(seen / 4294967296)
    local parts = (newest and 1 or 0) + (fix and 2 or 0)
    if newest and newest == fix then parts, fix = 7, '' end
    return struct.pack('>BBI2I4', 1, parts, high, seen - high * 4294967296)
        .. (newest or '') .. (fix or '')
end

-- Any offered value: what to keep, when it was seen, and what the stream is told. What a
-- later version wrote is left alone until it expires (docs/decisions/0047). What never
-- expires is no version's: it is replaced.
local function merge(key, held, offered)
    local held_seen, held_newest, held_fix = split(held)
    if held and not held_seen and call('PTTL', key) >= 0 then return held, 0, '' end
    local seen, newest, fix = split(offered)
    if not held_seen or held_seen + ttl <= now then return offered, seen, offered end
    local value = offered
    local joined_newest, joined_fix = newer(held_newest, newest), nil
    if held_newest == held_fix and newest == fix then
        joined_fix = joined_newest
    else
        joined_fix = newer(held_fix, fix)
    end
    if held_seen > seen or joined_newest ~= newest or joined_fix ~= fix then
        seen = math.max(held_seen, seen)
        value = join(seen, joined_newest, joined_fix)
    end
    -- The same frames in the same parts: merely heard.
    if cut(held, 2, 2) == cut(value, 2, 2) and cut(held, 9) == cut(value, 9) then
        return value, seen, join(seen, false, false)
    end
    return value, seen, value
end

-- A key's expiry is renewed once in a span of half a TTL, to the span's end and a TTL;
-- between, values are written in place, which costs half as much. `since`: of what was
-- seen before, the expiry may be that of another TTL.
local span = math.max(1, math.floor(ttl / 2))
local span_to, expiry = 0, nil
-- Of a seen time in the span, by the value's first four and next four bytes: what the
-- first are in a value of version 1 with parts 7 (263), and the second's range.
local span_head, renewed_low, end_low = 0, 0, 0
local function find_span(seen)
    local from = math.floor(seen / span) * span
    local high = math.floor(seen / 4294967296)
    span_to, expiry = from + span, string.format('%.0f', from + span + ttl - now)
    span_head = 263 * 65536 + high
    renewed_low = math.max(from, since) - high * 4294967296
    end_low = span_to - high * 4294967296
end

local keys = KEYS
-- Keys that are not a device's.
local others = ARGV[6] and 3 or 0
local values = call('MGET', unpack(keys, others + 1))
local moved, at = #values, 1
-- Where what is told begins to be as it was offered, behind what `pieces` have.
local pieces, same_from = {}, 1

-- Any entry: writes what it comes to, and notes what of it is told.
local function write(key, held, offered, next_at)
    local value, seen, told = merge(key, held, offered)
    if value == held then
        told = ''
    else
        if seen < span_to - span or seen >= span_to then find_span(seen) end
        call('SET', key, value, 'PX', expiry)
        -- That it was heard is told of its live key.
        if kind == 'historical' and #told == 8 then told = '' end
    end
    if told == '' then moved = moved - 1 end
    if told ~= offered then
        pieces[#pieces + 1] = cut(records, same_from, at - 1)
        if told ~= '' then
            pieces[#pieces + 1] = cut(records, at, at + 3) .. string.char(#told) .. told
        end
        same_from = next_at
    end
end

find_span(now)
for i = 1, #values do
    local held, length, is_newer, is_renewed = values[i], byte(records, at + 4), false, false
    -- Nearly always one frame, later recorded than the one that is held and not later than
    -- it arrived, heard in this span.
    if length == 50 and held and #held == 50 then
        local head, low, recorded, received_high, received_low =
            unpack_numbers('>I4I4I4xxxxxxxxI2I4', records, at + 5)
        local held_head, held_low, held_recorded = unpack_numbers('>I4I4I4', held)
        is_newer = recorded > held_recorded and low >= held_low and low < end_low
            and head == span_head and held_head == span_head
            and recorded * 1000 <= received_high * 4294967296 + received_low
        is_renewed = held_low >= renewed_low
    end
    local next_at = at + 5 + length
    local offered = cut(records, at + 5, next_at - 1)
    if not is_newer then
        write(keys[i + others], held, offered, next_at)
    elseif is_renewed then
        call('SETRANGE', keys[i + others], '0', offered)
    else
        call('SET', keys[i + others], offered, 'PX', expiry)
    end
    at = next_at
end

local record = records
if same_from > 1 then
    pieces[#pieces + 1] = cut(records, same_from)
    record = table.concat(pieces)
end
if others == 0 then return {moved, record} end
tell(keys[1], keys[2], keys[3], ARGV[6], ARGV[7], moved, record, kind)
return moved
