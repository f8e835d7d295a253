-- The next edit: the follow-up of the last changes, elsewhere in the buffer. Asked for when the text has changed, drawn
-- with extmarks, accepted or dismissed with keys of its own, in Normal and in Insert mode. The cursor never moves
-- unasked: an edit out of sight is told of beside the cursor, and accepting it goes there first.
-- Source: Copilot's textDocument/copilotInlineEdit. Leaves out: what follows from what (the server's), default keys.

local clients = require('seedling.client')
local quiet = require('seedling.quiet')

local M = {}

local METHOD = 'textDocument/copilotInlineEdit'
local MAX_DRAWN = 120
-- The server waits for a pause in typing itself; this only spares it a request for every key.
local DELAY_MS = 100

local namespace = vim.api.nvim_create_namespace('seedling.next_edit')
local group = vim.api.nvim_create_augroup('seedling.next_edit', {})

---@class seedling.NextEdit
---@field buffer integer
---@field client_id integer
---@field first [integer, integer] Row and byte, from 0.
---@field last [integer, integer]
---@field raw table The edit as the server sent it.

---@type seedling.NextEdit?
local shown
---@type { client: vim.lsp.Client, id: integer }?
local running
---@type uv.uv_timer_t?
local timer
local is_on = false

---@param buffer integer
---@return integer?
local function version_of(buffer)
  return vim.lsp.util.buf_versions[buffer]
end

local function erase()
  if shown and vim.api.nvim_buf_is_valid(shown.buffer) then
    vim.api.nvim_buf_clear_namespace(shown.buffer, namespace, 0, -1)
  end
end

local function stop_asking()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
  if running then
    running.client:cancel_request(running.id)
    running = nil
  end
end

--- Nothing is shown nor asked for any more.
function M.hide()
  stop_asking()
  erase()
  shown = nil
end

---@param edit seedling.NextEdit
---@return boolean
local function is_in_sight(edit)
  return edit.first[1] + 1 >= vim.fn.line('w0') and edit.first[1] + 1 <= vim.fn.line('w$')
end

--- What the edit does and where, in words.
---@param edit seedling.NextEdit
---@return string
local function words(edit)
  local row, cursor = edit.first[1], vim.api.nvim_win_get_cursor(0)[1] - 1
  local where = row == cursor and 'here' or ('%s line %d'):format(row < cursor and '↑' or '↓', row + 1)
  local command = edit.raw.command
  return ('%s: %s'):format(type(command) == 'table' and command.title or 'Next edit', where)
end

local function draw()
  erase()
  if not shown or vim.api.nvim_get_current_buf() ~= shown.buffer then
    return
  end
  local first, last = shown.first, shown.last
  local text = shown.raw.text:gsub('\r?\n', '↵')
  if vim.fn.strchars(text) > MAX_DRAWN then
    text = vim.fn.strcharpart(text, 0, MAX_DRAWN) .. '…'
  end
  vim.api.nvim_buf_set_extmark(shown.buffer, namespace, first[1], first[2], {
    end_row = last[1],
    end_col = last[2],
    hl_group = 'SeedlingEditOld',
  })
  if text ~= '' then
    vim.api.nvim_buf_set_extmark(shown.buffer, namespace, last[1], last[2], {
      virt_text = { { text, 'SeedlingEditNew' } },
      virt_text_pos = 'inline',
      hl_mode = 'combine',
    })
  end
  -- A deletion too is told in words: else its colour would be all there is.
  if not is_in_sight(shown) or text == '' then
    local row = is_in_sight(shown) and last[1] or vim.api.nvim_win_get_cursor(0)[1] - 1
    vim.api.nvim_buf_set_extmark(shown.buffer, namespace, row, 0, {
      virt_text = { { words(shown), 'SeedlingHint' } },
      virt_text_pos = 'eol',
    })
  end
end

---@param client vim.lsp.Client
---@param buffer integer
---@param answer? table
---@return seedling.NextEdit? edit nil where there is none for the text as it is.
local function read(client, buffer, answer)
  local edits = type(answer) == 'table' and answer.edits
  local raw = type(edits) == 'table' and edits[1]
  if not raw or type(raw.text) ~= 'string' or raw.textDocument.uri ~= vim.uri_from_bufnr(buffer) then
    return nil
  end
  if raw.textDocument.version ~= version_of(buffer) then
    return nil
  end
  ---@param position lsp.Position
  local function place(position)
    local line = vim.api.nvim_buf_get_lines(buffer, position.line, position.line + 1, false)[1] or ''
    return { position.line, vim.str_byteindex(line, client.offset_encoding, position.character, false) }
  end
  return {
    buffer = buffer,
    client_id = client.id,
    first = place(raw.range.start),
    last = place(raw.range['end']),
    raw = raw,
  }
end

---@param client vim.lsp.Client
---@param buffer integer
---@param answer? table
---@return boolean
local function show(client, buffer, answer)
  local edit = read(client, buffer, answer)
  erase()
  shown = vim.api.nvim_get_current_buf() == buffer and edit or nil
  if not shown then
    return false
  end
  draw()
  client:notify('textDocument/didShowInlineEdit', { item = { command = shown.raw.command } })
  local data = { text = words(shown) }
  vim.api.nvim_exec_autocmds('User', { pattern = 'SeedlingEditShown', data = data, modeline = false })
  return true
end

---@param client vim.lsp.Client
---@param buffer integer
---@return table
local function question(client, buffer)
  local cursor, line = vim.api.nvim_win_get_cursor(0), vim.api.nvim_get_current_line()
  local column = vim.str_utfindex(line, client.offset_encoding, math.min(cursor[2], #line), false)
  return {
    textDocument = { uri = vim.uri_from_bufnr(buffer), version = version_of(buffer) },
    position = { line = cursor[1] - 1, character = column },
  }
end

local function ask()
  stop_asking()
  local buffer = vim.api.nvim_get_current_buf()
  local client = clients.of(buffer)
  if not is_on or not client or quiet.reason(buffer) then
    return
  end
  local asked = { client = client, id = -1 }
  running = asked
  local _, id = client:request(METHOD, question(client, buffer), function(err, answer)
    if running == asked then
      running = nil
      show(client, buffer, not err and answer or nil)
    end
  end, buffer)
  asked.id = id or -1
end

local function ask_soon()
  M.hide()
  if not is_on then
    return
  end
  local waiting = assert(vim.uv.new_timer())
  timer = waiting
  waiting:start(DELAY_MS, 0, vim.schedule_wrap(function()
    if timer == waiting then
      ask()
    end
  end))
end

--- The server has told with its status whether next edits are on.
---@param status? seedling.Status
function M.set(status)
  is_on = status ~= nil and status.nextEdit == true and not status.busy
  if not is_on then
    M.hide()
  end
end

--- Shows next edits in a buffer from now on. Can be called again.
---@param buffer integer
function M.watch(buffer)
  vim.api.nvim_clear_autocmds({ group = group, buffer = buffer })
  local function on(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = buffer, callback = callback })
  end
  on({ 'TextChanged', 'TextChangedI', 'TextChangedP' }, ask_soon)
  on({ 'CursorMoved', 'CursorMovedI', 'WinScrolled' }, draw)
  on('BufLeave', M.hide)
end

---@param buffer integer
function M.unwatch(buffer)
  vim.api.nvim_clear_autocmds({ group = group, buffer = buffer })
  if shown and shown.buffer == buffer then
    M.hide()
  end
end

---@return boolean
function M.visible()
  return shown ~= nil
    and vim.api.nvim_get_current_buf() == shown.buffer
    and version_of(shown.buffer) == shown.raw.textDocument.version
end

---@param edit seedling.NextEdit
local function write(edit)
  local lines = vim.split(edit.raw.text, '\r?\n')
  vim.bo.undolevels = vim.bo.undolevels -- begins a new undo step
  vim.api.nvim_buf_set_text(edit.buffer, edit.first[1], edit.first[2], edit.last[1], edit.last[2], lines)
  local column = (#lines == 1 and edit.first[2] or 0) + #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { edit.first[1] + #lines, column })
end

--- Applies the edit; where it is out of sight, goes there instead. false where there is none: the key can then do what
--- it does else.
---@return boolean
function M.accept()
  local edit = M.visible() and shown
  if not edit then
    return false
  end
  if not is_in_sight(edit) then
    vim.cmd("normal! m'") -- so that CTRL-O leads back
    vim.api.nvim_win_set_cursor(0, { edit.first[1] + 1, edit.first[2] })
    draw()
    return true
  end
  M.hide()
  write(edit)
  local client, command = vim.lsp.get_client_by_id(edit.client_id), edit.raw.command
  if client and type(command) == 'table' then
    clients.execute(client, command.command, command.arguments or {})
  end
  return true
end

--- Takes the edit away for good: the server does not offer it again. false where there is none.
---@return boolean
function M.dismiss()
  local edit = M.visible() and shown
  if not edit then
    return false
  end
  M.hide()
  local client, command = vim.lsp.get_client_by_id(edit.client_id), edit.raw.command
  if client and type(command) == 'table' then
    client:notify('notifyRejected', { uuids = command.arguments or {} })
    ask()
  end
  return true
end

--- Asks by hand: at once, and says why there is none.
function M.suggest()
  M.hide()
  local buffer = vim.api.nvim_get_current_buf()
  local client, own = clients.of(buffer), quiet.reason(buffer)
  if not client or own then
    vim.notify('Seedling: ' .. (own or 'no server for this buffer'), vim.log.levels.WARN)
    return
  end
  clients.execute(client, 'seedling.nextEdit', { question(client, buffer) }, function(answer, sentence)
    if not show(client, buffer, answer) then
      local said = sentence or (answer and answer.sentence ~= '' and answer.sentence)
      vim.notify('Seedling: ' .. (said or 'the buffer has changed meanwhile'))
    end
  end)
end

--- The edit as it is drawn, for tests and screen readers: what it does and where; '' where there is none.
---@return string
function M.shown()
  return M.visible() and shown and words(shown) or ''
end

return M
