-- One answer of the server, and what of it still fits the buffer. The buffer is compared each time, never remembered
-- keys: so no text is ever drawn or inserted where the cursor has moved on (neovim#36529 is core's bug of that kind).
-- Leaves out: drawing (draw.lua), deciding when to show (suggest.lua).

local text = require('seedling.text')

local M = {}

---@class seedling.Place Where and for which text the server was asked.
---@field buffer integer
---@field row integer From 0.
---@field column integer Bytes before the cursor.
---@field line string
---@field num_lines_below integer

---@class seedling.Item
---@field text string What the range is replaced with, newlines as \n.
---@field start_column integer Bytes; the row is that of the place.
---@field num_replaced integer Bytes after the place's cursor.
---@field has_crlf boolean
---@field raw table The item as the server sent it.
---@field was_shown? boolean

---@class seedling.Ghost
---@field client_id integer
---@field place seedling.Place
---@field items seedling.Item[]
---@field index integer
---@field num_typed integer Bytes of the item that stood in the buffer when it was last looked at.

---@class seedling.Rest What of an item is not in the buffer yet.
---@field text string
---@field replaced string What it replaces after the cursor.
---@field after string The rest of the cursor's line, replaced text included.
---@field typed string What of the item is in the buffer.

---@param buffer integer
---@return seedling.Place
function M.place(buffer)
  local cursor = vim.api.nvim_win_get_cursor(0)
  return {
    buffer = buffer,
    row = cursor[1] - 1,
    column = cursor[2],
    line = vim.api.nvim_get_current_line(),
    num_lines_below = vim.api.nvim_buf_line_count(buffer) - cursor[1],
  }
end

---@param raw table
---@param place seedling.Place
---@param encoding string
---@return seedling.Item? item nil for an item that is not of the place's line.
local function read_item(raw, place, encoding)
  if type(raw.insertText) ~= 'string' then
    return nil
  end
  local start_column, end_column = place.column, place.column
  if raw.range then
    if raw.range.start.line ~= place.row or raw.range['end'].line ~= place.row then
      return nil
    end
    start_column = vim.str_byteindex(place.line, encoding, raw.range.start.character, false)
    end_column = vim.str_byteindex(place.line, encoding, raw.range['end'].character, false)
  end
  if start_column > place.column or end_column < place.column then
    return nil
  end
  local plain, num_crlf = raw.insertText:gsub('\r\n', '\n')
  return {
    text = plain,
    start_column = start_column,
    num_replaced = end_column - place.column,
    has_crlf = num_crlf > 0,
    raw = raw,
  }
end

---@param client vim.lsp.Client
---@param place seedling.Place
---@param result? table The server's answer.
---@return seedling.Ghost? ghost nil where the answer holds nothing usable.
function M.read(client, place, result)
  local items = {}
  for _, raw in ipairs(result and (result.items or result) or {}) do
    table.insert(items, read_item(raw, place, client.offset_encoding))
  end
  if #items > 0 then
    return { client_id = client.id, place = place, items = items, index = 1, num_typed = 0 }
  end
end

---@param ghost seedling.Ghost
---@return seedling.Item
function M.item(ghost)
  return ghost.items[ghost.index]
end

--- What of `item` is still to be written at the cursor of the current window.
---@param ghost seedling.Ghost
---@param item seedling.Item
---@return seedling.Rest? rest nil where the buffer is no longer on the way to the item.
function M.rest_of(ghost, item)
  local place = ghost.place
  if vim.api.nvim_get_current_buf() ~= place.buffer then
    return nil
  end
  local now = M.place(place.buffer)
  if now.row < place.row or now.num_lines_below ~= place.num_lines_below then
    return nil
  end
  local lines = vim.api.nvim_buf_get_lines(place.buffer, place.row, now.row + 1, false)
  if lines[1]:sub(1, item.start_column) ~= place.line:sub(1, item.start_column) then
    return nil
  end
  lines[#lines] = lines[#lines]:sub(1, now.column)
  lines[1] = lines[1]:sub(item.start_column + 1)
  local typed = table.concat(lines, '\n')
  local before, after = place.line:sub(place.column + 1), now.line:sub(now.column + 1)
  local num_consumed = #before - #after
  if
    not vim.startswith(item.text, typed)
    or not vim.endswith(before, after)
    or num_consumed > item.num_replaced
  then
    return nil
  end
  return {
    text = item.text:sub(#typed + 1),
    replaced = after:sub(1, item.num_replaced - num_consumed),
    after = after,
    typed = typed,
  }
end

--- The rest of the current item, which must not have grown: what the user deletes is not offered again unasked.
---@param ghost seedling.Ghost
---@return seedling.Rest?
function M.rest(ghost)
  local rest = M.rest_of(ghost, M.item(ghost))
  if not rest or #rest.typed < ghost.num_typed or rest.text == rest.replaced then
    return nil
  end
  if not rest.text:find('\n', 1, true) and not text.insertions(rest.text, rest.replaced) then
    return nil -- what would have to be deleted cannot be drawn as ghost text
  end
  ghost.num_typed = #rest.typed
  return rest
end

--- Units of the whole item, as the server counts them, when `typed` of it is in the buffer.
---@param item seedling.Item
---@param typed string
---@return integer
function M.num_units(item, typed)
  local _, num_newlines = typed:gsub('\n', '')
  return text.num_utf16_units(typed) + (item.has_crlf and num_newlines or 0)
end

return M
