-- A floating window for text of ours: at the cursor, as large as its text and never larger than the screen, with keys
-- of its own. However it is closed, whoever opened it is told. Leaves out: what stands in it.

local M = {}

---@class seedling.Float
---@field buffer integer
---@field window integer
---@field width integer It only grows: nothing jumps while text comes and goes.
---@field least integer As wide as what is written on its border.

---@class seedling.FloatText
---@field title string
---@field footer string Which keys there are.
---@field keys table<string, fun()>

local group = vim.api.nvim_create_augroup('seedling.float', {})

---@return integer columns
---@return integer lines
local function room()
  return math.max(1, vim.o.columns - 4), math.max(1, vim.o.lines - vim.o.cmdheight - 3)
end

---@param float seedling.Float
---@return boolean
function M.is_open(float)
  return vim.api.nvim_win_is_valid(float.window)
end

--- Makes it as large as its text.
---@param float seedling.Float
function M.fit(float)
  if not M.is_open(float) then
    return
  end
  local columns, rows = room()
  local widest = float.least
  for _, line in ipairs(vim.api.nvim_buf_get_lines(float.buffer, 0, -1, false)) do
    widest = math.max(widest, vim.fn.strdisplaywidth(line))
  end
  float.width = math.max(float.width, widest)
  local width = math.min(float.width, columns)
  vim.api.nvim_win_set_config(float.window, { width = width })
  local height = vim.api.nvim_win_text_height(float.window, {}).all
  vim.api.nvim_win_set_config(float.window, { width = width, height = math.max(1, math.min(height, rows)) })
end

---@param float seedling.Float
---@param lines string[]
function M.write(float, lines)
  vim.bo[float.buffer].modifiable = true
  vim.api.nvim_buf_set_lines(float.buffer, 0, -1, false, lines)
  vim.bo[float.buffer].modifiable = false
end

--- What stands on its border, and the keys, from now on.
---@param float seedling.Float
---@param text seedling.FloatText
function M.label(float, text)
  for _, map in ipairs(vim.api.nvim_buf_get_keymap(float.buffer, 'n')) do
    vim.keymap.del('n', map.lhs, { buffer = float.buffer })
  end
  for key, run in pairs(text.keys) do
    vim.keymap.set('n', key, run, { buffer = float.buffer, nowait = true })
  end
  local title = (' %s '):format(text.title)
  local footer = (' %s '):format(text.footer)
  float.least = math.max(vim.fn.strdisplaywidth(title), vim.fn.strdisplaywidth(footer))
  vim.api.nvim_win_set_config(float.window, { title = title, footer = footer })
end

--- Opens it and goes there.
---@param text seedling.FloatText
---@param on_close fun() Called when somebody else closes it.
---@return seedling.Float
function M.open(text, on_close)
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].modifiable = false
  local has_border = vim.o.winborder ~= '' and vim.o.winborder ~= 'none'
  local window = vim.api.nvim_open_win(buffer, true, {
    relative = 'cursor',
    row = 1,
    col = 0,
    width = 1,
    height = 1,
    style = 'minimal',
    border = not has_border and 'rounded' or nil, -- the title and the keys stand on it
  })
  vim.wo[window].wrap = true
  vim.wo[window].winfixbuf = true
  ---@type seedling.Float
  local float = { buffer = buffer, window = window, width = 1, least = 1 }
  M.label(float, text)
  vim.api.nvim_create_autocmd('WinClosed', {
    group = group,
    pattern = tostring(window),
    once = true,
    callback = vim.schedule_wrap(on_close),
  })
  vim.api.nvim_create_autocmd('VimResized', {
    group = group,
    buffer = buffer,
    callback = function()
      M.fit(float)
    end,
  })
  M.fit(float)
  return float
end

--- Closes it; `on_close` is not called.
---@param float seedling.Float
function M.close(float)
  vim.api.nvim_clear_autocmds({ group = group, event = 'WinClosed', pattern = tostring(float.window) })
  if M.is_open(float) then
    vim.api.nvim_win_close(float.window, true)
  end
end

return M
