-- Where no ghost text is drawn whatever the server says: only ordinary files that are being typed into, and never
-- beside a completion menu (two things that the same key would accept). Leaves out: the server's own reasons.

local M = {}

---@param name string
---@param is_visible string
---@return boolean
local function menu_of(name, is_visible)
  local plugin = package.loaded[name]
  if type(plugin) ~= 'table' then
    return false
  end
  local ran, visible = pcall(function()
    return plugin[is_visible]()
  end)
  return ran and visible == true
end

--- Whether a completion menu is open: Neovim's own, blink.cmp's or nvim-cmp's.
---@return boolean
function M.menu_is_open()
  return vim.fn.pumvisible() == 1 or menu_of('blink.cmp', 'is_menu_visible') or menu_of('cmp', 'visible')
end

local follows_cmp = false

--- Calls `on_change` when the menu of nvim-cmp opens or closes. blink.cmp and Neovim tell so with autocommand events.
---@param on_change fun()
function M.follow_cmp(on_change)
  local cmp = package.loaded['cmp']
  if follows_cmp or type(cmp) ~= 'table' or not cmp.event then
    return
  end
  follows_cmp = true
  cmp.event:on('menu_opened', on_change)
  cmp.event:on('menu_closed', vim.schedule_wrap(on_change))
end

--- Why a buffer never gets ghost text; nil where it may.
---@param buffer integer
---@return string?
function M.reason(buffer)
  local kind = vim.bo[buffer].buftype
  if kind ~= '' or vim.fn.getcmdwintype() ~= '' then
    return ('only ordinary files get ghost text, and this is a %s buffer'):format(kind == '' and 'command-line' or kind)
  end
  if not vim.bo[buffer].modifiable or vim.bo[buffer].readonly then
    return 'the buffer is read-only'
  end
end

--- Whether ghost text may be drawn right now.
---@param buffer integer
---@return boolean
function M.may_show(buffer)
  return vim.startswith(vim.api.nvim_get_mode().mode, 'i') and not M.reason(buffer) and not M.menu_is_open()
end

return M
