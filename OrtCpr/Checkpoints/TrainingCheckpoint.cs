using System.Text.Json;
using OrtCpr.Collectives;
using OrtCpr.Graph;
using OrtCpr.Schedules;

namespace OrtCpr.Checkpoints;

/// <summary>Saves and restores a driver: parameters, moments, λ, κ, detectors, step counts, running statistics, rates,
/// schedules and the caller's progress.</summary>
/// <remarks>One safetensors file; everything of a parameter is stored under its name (<c>p</c>, <c>p.exp_avg</c>,
/// <c>p.step</c>, <c>p.lambda</c>, <c>p.kappa</c>, <c>p.detector</c>), so it survives another order of parameters. A
/// resumed run goes on bit for bit.</remarks>
public static class TrainingCheckpoint
{
    /// <summary>Format version that is written.</summary>
    public const int Version = 1;

    private const string MetadataKey = "ortcpr.checkpoint";

    /// <summary>Writes a checkpoint: to a temporary file beside it, flushed, then renamed. Until then the old one is whole.</summary>
    /// <param name="driver">What to save. The gradients in its buffers are not saved: a resumed driver starts as after
    /// LazyResetGrad.</param>
    /// <param name="path">Safetensors file.</param>
    /// <param name="progress">The caller's position; null for none.</param>
    /// <exception cref="FileAccessException">The file can't be written; names it. The old file is whole.</exception>
    public static void Save(TrainingDriver driver, string path, TrainingProgress? progress = null) => Save(driver, path, progress, []);

    /// <summary>In front of the names of tensors that not every run has: the mean of the weights.</summary>
    internal const string AveragePrefix = "weight_average/";

    /// <summary>The same with the mean of the weights.</summary>
    internal static void Save(TrainingDriver driver, string path, TrainingProgress? progress, IEnumerable<SafetensorsEntry> average)
    {
        ArgumentNullException.ThrowIfNull(driver);
        OptimizerDriver optimizer = driver.Optimizer;
        if (!optimizer.Ranks.IsFirst)
        {
            // The first rank writes what others keep while they send it.
            if (optimizer.Shard is not null)
            {
                foreach (SafetensorsEntry entry in SafetensorsFile.InOrder(Entries(optimizer))) entry.WriteBytes(Stream.Null);
            }
            return;
        }
        SafetensorsFile.Write(path, [.. Entries(optimizer), .. average], new Dictionary<string, string>
        { [MetadataKey] = HeaderText(optimizer, progress) });
    }

    /// <summary>What a checkpoint says beside its tensors, as JSON.</summary>
    internal static string HeaderText(OptimizerDriver optimizer, TrainingProgress? progress) =>
        JsonSerializer.Serialize(new CheckpointHeader
        {
            FormatVersion = Version,
            Steps = optimizer.Steps,
            Scalars = optimizer.Scalars.Values,
            Schedules = optimizer.Scalars.Schedules,
            SchedulerSteps = optimizer.Scalars.StepsAhead == 0 ? null : optimizer.Steps + optimizer.Scalars.StepsAhead,
            Frozen = [.. optimizer.Frozen],
            Progress = progress ?? new TrainingProgress(),
        }, CheckpointJson.Default.CheckpointHeader);

    /// <summary>Rates, schedules, frozen parameters and step count of a header, for a driver whose tensors are restored already.</summary>
    /// <exception cref="CheckpointException">It is damaged, or does not fit the driver; nothing has changed.</exception>
    internal static void ApplyHeader(OptimizerDriver optimizer, string json, string path)
    {
        CheckpointHeader header = ParseHeader(json, path);
        var problems = new List<string>();
        AddMisfits(optimizer, header, problems);
        if (problems.Count > 0)
        {
            throw new CheckpointException($"The job in '{path}' does not fit its own graphs: {string.Join("; ", problems)}. "
                + "Write it again.");
        }
        Apply(optimizer, header);
    }

    /// <summary>Restores a driver from a checkpoint of the same model and optimizer.</summary>
    /// <param name="driver">What to restore; schedules, rates and frozen parameters are those of the file afterwards.</param>
    /// <param name="path">Safetensors file.</param>
    /// <returns>The progress that was saved with it.</returns>
    /// <exception cref="FileAccessException">The file is missing or can't be read.</exception>
    /// <exception cref="SafetensorsException">It is no safetensors file.</exception>
    /// <exception cref="CheckpointException">It does not fit; nothing has changed.</exception>
    public static TrainingProgress Load(TrainingDriver driver, string path) => Load(driver, path, null);

    /// <summary>The same; <c>average</c> takes the mean of the weights from the file's tensors, or refuses them.</summary>
    internal static TrainingProgress Load(TrainingDriver driver, string path, Action<IReadOnlyDictionary<string, TensorData>>? average)
    {
        ArgumentNullException.ThrowIfNull(driver);
        OptimizerDriver optimizer = driver.Optimizer;
        using SafetensorsFile file = SafetensorsFile.Read(path);
        CheckpointHeader header = ReadHeader(file, path);
        RefuseMisfits(file, optimizer, header, path);
        average?.Invoke(file.Tensors);
        CheckpointTensor.Restore(optimizer, file.Tensors);
        Apply(optimizer, header);
        driver.ForgetGradients();
        return header.Progress;
    }

    private static void Apply(OptimizerDriver optimizer, CheckpointHeader header)
    {
        foreach ((string name, double[] values) in header.Scalars) values.CopyTo(optimizer.Scalars.Values[name], 0);
        foreach ((string name, Schedule?[] schedules) in header.Schedules) schedules.CopyTo(optimizer.Scalars.Schedules[name], 0);
        optimizer.Scalars.StepsAhead = header.SchedulerSteps - header.Steps ?? 0;
        optimizer.SetFrozen(header.Frozen);
        optimizer.Steps = header.Steps;
    }

    private static IEnumerable<SafetensorsEntry> Entries(OptimizerDriver optimizer) =>
        CheckpointTensor.All(optimizer)
        .Select(t => new SafetensorsEntry(t.Name, t.Type, t.Dimensions, stream =>
            stream.Write(optimizer.Shard is StateShard shard && t.Slot.Role == TensorRole.State ? shard.Bytes(optimizer.Store, t.Slot)
                : t.Bytes(optimizer.Store))));

    private static CheckpointHeader ReadHeader(SafetensorsFile file, string path)
    {
        if (!file.Metadata.TryGetValue(MetadataKey, out string? json))
        {
            throw new CheckpointException(
                $"'{path}' is a safetensors file but no checkpoint of OrtCpr: "
                + $"expected the metadata key '{MetadataKey}', found "
                + $"{(file.Metadata.Count == 0 ? "none" : string.Join(", ", file.Metadata.Keys))}.");
        }
        return ParseHeader(json, path);
    }

    private static CheckpointHeader ParseHeader(string json, string path)
    {
        CheckpointHeader? header;
        try
        {
            header = JsonSerializer.Deserialize(json, CheckpointJson.Default.CheckpointHeader);
        }
        catch (Exception error) when (error is JsonException or NotSupportedException or DriverException)
        {
            throw new CheckpointException($"The metadata '{MetadataKey}' of checkpoint '{path}' is damaged: {error.Message}", error);
        }
        if (header is null || header.FormatVersion != Version)
        {
            throw new CheckpointException(
                $"Checkpoint '{path}' has format version {header?.FormatVersion}; this version of OrtCpr reads {Version}. "
                + "Use the version that wrote it, or a newer one.");
        }
        return header;
    }

    /// <summary>Everything that does not fit, before anything changes.</summary>
    private static void RefuseMisfits(SafetensorsFile file, OptimizerDriver optimizer, CheckpointHeader header, string path)
    {
        var problems = new List<string>();
        CheckpointTensor[] expected = [.. CheckpointTensor.All(optimizer)];
        foreach (CheckpointTensor t in expected)
        {
            if (!file.Tensors.TryGetValue(t.Name, out TensorData? found))
                problems.Add($"'{t.Name}' is missing; expected {t.Type}[{string.Join(',', t.Dimensions)}]");
            else if (found.Type != t.Type || !found.Dimensions.SequenceEqual(t.Dimensions))
                problems.Add($"'{t.Name}' is {found} in the file, {t.Type}[{string.Join(',', t.Dimensions)}] here");
        }
        var names = expected.Select(t => t.Name).ToHashSet(StringComparer.Ordinal);
        problems.AddRange(file.Tensors.Keys
            .Where(n => !names.Contains(n) && !n.StartsWith(AveragePrefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)
            .Select(n => $"'{n}' is in the file, but nothing here has that name"));
        AddMisfits(optimizer, header, problems);
        if (problems.Count == 0) return;
        string more = problems.Count > 10 ? $"; and {problems.Count - 10} more" : "";
        throw new CheckpointException(
            $"Checkpoint '{path}' does not fit the model and optimizer: {string.Join("; ", problems.Take(10))}{more}. "
            + "Load it with the model, optimizer and parameter choice that wrote it.");
    }

    private static void AddMisfits(OptimizerDriver optimizer, CheckpointHeader header, List<string> problems)
    {
        string[] scalars = [.. optimizer.Scalars.Names.Order(StringComparer.Ordinal)];
        if (!header.Scalars.Keys.Order(StringComparer.Ordinal).SequenceEqual(scalars)
            || !header.Schedules.Keys.Order(StringComparer.Ordinal).SequenceEqual(scalars))
        {
            problems.Add($"scheduled scalars {string.Join(", ", header.Scalars.Keys)} in the file, {string.Join(", ", scalars)} here");
        }
        int groups = optimizer.Scalars.GroupCount;
        foreach (int found in header.Scalars.Values.Select(v => v.Length).Concat(header.Schedules.Values.Select(v => v.Length))
            .Where(n => n != groups).Distinct())
        {
            problems.Add($"{found} optimizer group(s) in the file, {groups} here");
        }
        string[] strangers = [.. header.Frozen.Where(n => optimizer.Plan.Trained.All(p => p.Name != n))];
        if (strangers.Length > 0) problems.Add($"frozen in the file, but no parameters here: {string.Join(", ", strangers)}");
    }
}

/// <summary>What a checkpoint says beside its tensors.</summary>
internal sealed record CheckpointHeader
{
    public int FormatVersion { get; init; }

    public long Steps { get; init; }

    public IReadOnlyDictionary<string, double[]> Scalars { get; init; } = new Dictionary<string, double[]>();

    public IReadOnlyDictionary<string, Schedule?[]> Schedules { get; init; } = new Dictionary<string, Schedule?[]>();

    // Steps that schedules have counted, where that is not the optimizer's own count.
    public long? SchedulerSteps { get; init; }

    public string[] Frozen { get; init; } = [];

    public TrainingProgress Progress { get; init; } = new();
}
