namespace Grokking;

// Where a run keeps its checkpoint and model: in the folder itself, or one folder a run where there are several.
internal sealed record RunFiles(string Folder)
{
    public string Checkpoint => Path.Combine(Folder, "checkpoint.safetensors");

    public string Model => Path.Combine(Folder, "model.onnx");

    public static RunFiles Of(string folder, Recipe recipe, long seed, bool several) => new(several ? Path.Combine(folder, $"{recipe.Name}-seed{seed}") : folder);
}

// What the whole experiment writes, shared by its runs.
internal sealed class Journal(string folder)
{
    public CsvLog<EpochRow> Epochs { get; } = new(Path.Combine(folder, "log.csv"));

    public CsvLog<ConstraintRow> Constraints { get; } = new(Path.Combine(folder, "constraints.csv"));

    public string Figure { get; } = Path.Combine(folder, "grokking.png");

    public void Start()
    {
        Epochs.Start();
        Constraints.Start();
    }

    public void Continue()
    {
        Epochs.Continue();
        Constraints.Continue();
    }

    // A run begins or goes on behind an epoch: later rows of it were never saved with a checkpoint.
    public void CutBehind(string optimizer, long seed, int epoch)
    {
        Epochs.Keep(row => row.Optimizer != optimizer || row.Seed != seed || row.Epoch <= epoch);
        Constraints.Keep(row => row.Optimizer != optimizer || row.Seed != seed || row.Epoch <= epoch);
    }
}
