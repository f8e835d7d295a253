-- Draws ghost text with extmarks of our own: the same on Neovim 0.11 and 0.12, and behind the cursor where something
-- follows it (core draws such an item over the rest of the line). Leaves out: what is drawn and when (suggest.lua).

local text = require('seedling.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('seedling.ghost')

---@type integer? The buffer that holds our marks.
local drawn_in

--- Highlight groups, once; 'default' leaves those alone that a colour scheme or the user has set.
function M.define_highlights()
  local is_known = vim.fn.hlexists('ComplHint') == 1 -- not on Neovim 0.11
  vim.api.nvim_set_hl(0, 'SeedlingGhost', { default = true, link = is_known and 'ComplHint' or 'NonText' })
  vim.api.nvim_set_hl(0, 'SeedlingEditOld', { default = true, link = 'DiffDelete' })
  vim.api.nvim_set_hl(0, 'SeedlingEditNew', { default = true, link = 'DiffAdd' })
  local sure = { 'DiagnosticError', 'DiagnosticWarn', 'DiagnosticHint', 'DiagnosticInfo', 'DiagnosticOk' }
  for level, group in ipairs(sure) do
    vim.api.nvim_set_hl(0, 'SeedlingSure' .. level, { default = true, link = group })
  end
  vim.api.nvim_set_hl(0, 'SeedlingDoubt', { default = true, underline = true })
  vim.api.nvim_set_hl(0, 'SeedlingCorrected', { default = true, link = 'DiffText' })
  vim.api.nvim_set_hl(0, 'SeedlingMask', { default = true, link = 'NonText' })
  vim.api.nvim_set_hl(0, 'SeedlingLocked', { default = true, link = 'Comment' })
  vim.api.nvim_set_hl(0, 'SeedlingHint', { default = true, link = is_known and 'ComplHintMore' or 'MoreMsg' })
end

function M.clear()
  if drawn_in and vim.api.nvim_buf_is_valid(drawn_in) then
    vim.api.nvim_buf_clear_namespace(drawn_in, namespace, 0, -1)
  end
  drawn_in = nil
end

---@param line string
---@param column integer
---@return [string, string][]
local function chunks(line, column)
  return { { text.expand_tabs(line, column, vim.bo.tabstop), 'SeedlingGhost' } }
end

--- One line: written between what stands there.
---@param place seedling.Place
---@param rest seedling.Rest
---@param hint? string
local function draw_line(place, rest, hint)
  local segments = assert(text.insertions(rest.text, rest.replaced))
  for i, segment in ipairs(segments) do
    local virt_text = chunks(segment.text, vim.fn.virtcol('.') - 1)
    if hint and i == #segments then
      table.insert(virt_text, { hint, 'SeedlingHint' })
    end
    vim.api.nvim_buf_set_extmark(place.buffer, namespace, place.row, place.column + segment.offset, {
      virt_text = virt_text,
      virt_text_pos = 'inline',
      hl_mode = 'combine',
    })
  end
end

--- Several lines: what follows the cursor is covered, and shown again where it will stand.
---@param place seedling.Place
---@param rest seedling.Rest
---@param hint? string
local function draw_lines(place, rest, hint)
  local lines = vim.split(rest.text, '\n')
  local column = vim.fn.virtcol('.') - 1
  local first = chunks(lines[1], column)
  local num_covered = vim.fn.strdisplaywidth(rest.after, column) - vim.fn.strdisplaywidth(first[1][1])
  if num_covered > 0 then
    table.insert(first, { (' '):rep(num_covered), 'SeedlingGhost' })
  end
  local virt_lines = {}
  for i = 2, #lines do
    virt_lines[i - 1] = chunks(lines[i], 0)
  end
  local last = virt_lines[#virt_lines]
  local behind = rest.after:sub(#rest.replaced + 1)
  if behind ~= '' then
    table.insert(last, { text.expand_tabs(behind, 0, vim.bo.tabstop), 'Normal' })
  end
  if hint then
    table.insert(last, { hint, 'SeedlingHint' })
  end
  vim.api.nvim_buf_set_extmark(place.buffer, namespace, place.row, place.column, {
    virt_text = first,
    virt_text_pos = rest.after == '' and 'inline' or 'overlay',
    virt_lines = virt_lines,
    hl_mode = 'combine',
  })
end

--- Draws `rest` at the cursor of the current window, in place of what was drawn before.
---@param place seedling.Place Where the cursor is.
---@param rest seedling.Rest
---@param hint? string Shown behind it.
function M.show(place, rest, hint)
  M.clear()
  drawn_in = place.buffer
  local draw = rest.text:find('\n', 1, true) and draw_lines or draw_line
  draw(place, rest, hint)
end

--- The ghost text as it is drawn, for tests and screen readers: lines joined by newlines, '' where there is none.
---@return string
function M.shown()
  if not drawn_in or not vim.api.nvim_buf_is_valid(drawn_in) then
    return ''
  end
  local lines = { '' }
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(drawn_in, namespace, 0, -1, { details = true })) do
    for _, chunk in ipairs(mark[4].virt_text or {}) do
      lines[1] = lines[1] .. (chunk[2] == 'SeedlingGhost' and chunk[1] or '')
    end
    for _, line in ipairs(mark[4].virt_lines or {}) do
      table.insert(lines, line[1][1])
    end
  end
  return table.concat(lines, '\n')
end

return M
