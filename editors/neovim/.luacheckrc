std = "luajit"
read_globals = { "vim" }
globals = { "vim.g", "vim.bo", "vim.wo", "vim.lsp" }
max_line_length = 120
