# Peers are installed here, into environments of their own, and nowhere else.
PEERS := sb3 rllib

.PHONY: bench bench-setup
bench-setup: $(SETUP) $(PEERS:%=.venv-peers-%/.set-up) ## install the peers that `make bench` compares with

.venv-peers-%/.set-up: benchmarks/peers/%-requirements.txt
	@$(BIN)/uv venv --quiet --clear $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@

bench: bench-setup ## measure every claim about speed and write the README's table
	@$(BIN)/python benchmarks/run_all.py --readme $(if $(PROTOTYPE),--prototype $(PROTOTYPE))
