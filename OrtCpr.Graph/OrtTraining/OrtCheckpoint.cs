namespace OrtCpr.Graph.OrtTraining;

/// <summary>A named tensor of a checkpoint.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Element type.</param>
/// <param name="Data">Its value; null in a nominal checkpoint.</param>
/// <param name="DocString">Text that goes with it; null for none.</param>
internal sealed record OrtTensor(string Name, ElementType Type, TensorData? Data, string? DocString = null)
{
    /// <summary>A tensor with a value.</summary>
    public OrtTensor(string name, TensorData data) : this(name, (data ?? throw new ArgumentNullException(nameof(data))).Type, data)
    {
    }
}

/// <summary>What an optimizer knows of one parameter.</summary>
/// <param name="Parameter">The parameter's name.</param>
/// <param name="Momentums">Tensors by key: <c>momentum0</c>, <c>momentum1</c>, and whatever else a program keeps there.</param>
internal sealed record OrtParameterState(string Parameter, IReadOnlyList<OrtTensor> Momentums);

/// <summary>State of an optimizer; the runtime knows only the one named <see cref="OrtCheckpoint.DefaultGroup"/>.</summary>
/// <param name="Name">Name of the group.</param>
/// <param name="Step">Optimizer steps made.</param>
/// <param name="InitialLearningRate">Rate from which a scheduler counts. The current rate is in no checkpoint.</param>
/// <param name="States">One entry a parameter.</param>
internal sealed record OrtOptimizerGroup(string Name, long Step, float InitialLearningRate, IReadOnlyList<OrtParameterState> States);

/// <summary>Checkpoint of ONNX Runtime's on-device training ("ODTC" file, or the directory form of 1.15): parameters, optimizer state,
/// properties.</summary>
/// <remarks>Keeps everything that is in the file, in its order, so that what a program does not know survives it. Immutable; change it by
/// <c>with</c>.</remarks>
internal sealed record OrtCheckpoint
{
    /// <summary>Name of the optimizer group that the runtime uses.</summary>
    public const string DefaultGroup = "group0";

    /// <summary>Format version of the file it was read from, 1 or 2. <see cref="Save"/> writes 2; <see cref="ToBytes"/> keeps it.</summary>
    public int Version { get; init; } = OrtCheckpointWriter.Version;

    /// <summary>True when the tensors have names and types but no values.</summary>
    public bool IsNominal { get; init; }

    /// <summary>The parameters that are trained.</summary>
    public IReadOnlyList<OrtTensor> Trainable { get; init; } = [];

    /// <summary>The others; running statistics among them.</summary>
    public IReadOnlyList<OrtTensor> Frozen { get; init; } = [];

    /// <summary>Optimizer state; empty when none was saved.</summary>
    public IReadOnlyList<OrtOptimizerGroup> Groups { get; init; } = [];

    /// <summary>The caller's own values by name: <see cref="long"/>, <see cref="float"/> or <see cref="string"/>.</summary>
    public IReadOnlyDictionary<string, object> Properties { get; init; } = new Dictionary<string, object>();

    /// <summary>The group that the runtime uses; null when there is none.</summary>
    public OrtOptimizerGroup? Optimizer => Groups.FirstOrDefault(g => g.Name == DefaultGroup);

    /// <summary>The same with all lists in the order in which the runtime saves them: sorted by name.</summary>
    public OrtCheckpoint Sorted() => this with
    {
        Trainable = [.. Trainable.OrderBy(t => t.Name, StringComparer.Ordinal)],
        Frozen = [.. Frozen.OrderBy(t => t.Name, StringComparer.Ordinal)],
        Groups =
        [
            .. Groups.OrderBy(g => g.Name, StringComparer.Ordinal).Select(g => g with
            {
                States =
                [
                    .. g.States.OrderBy(s => s.Parameter, StringComparer.Ordinal)
                        .Select(s => s with { Momentums = [.. s.Momentums.OrderBy(m => m.Name, StringComparer.Ordinal)] }),
                ],
            }),
        ],
    };

    /// <summary>Reads a checkpoint file, with the tensors that are in <c>path.data</c> beside it, or a checkpoint directory of
    /// 1.15.</summary>
    /// <exception cref="FileAccessException">It is missing or can't be read.</exception>
    /// <exception cref="CheckpointException">It is no checkpoint, or damaged; says what and where.</exception>
    public static OrtCheckpoint Load(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (Directory.Exists(path)) return OrtCheckpointDirectory.Load(path);
        try
        {
            return OrtCheckpointReader.Read(File.ReadAllBytes(path), path, ExternalDataOf(path));
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(path, error);
        }
    }

    /// <summary>Reads a checkpoint in memory.</summary>
    /// <param name="bytes">The file; not copied, so it must not change any more.</param>
    /// <exception cref="CheckpointException">It is no checkpoint, or damaged, or has tensors in another file.</exception>
    public static OrtCheckpoint Read(ReadOnlyMemory<byte> bytes) => OrtCheckpointReader.Read(bytes, "in memory", externalData: null);

    /// <summary>Writes a version 2 file, atomically. Tensors go to <c>path.data</c> beside it when they are larger than 1.8 GB
    /// together.</summary>
    /// <exception cref="FileAccessException">The file can't be written; the old one is whole.</exception>
    public void Save(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        OrtCheckpointWriter.Save(this with { Version = OrtCheckpointWriter.Version }, path, OrtCheckpointWriter.InlineLimit);
    }

    /// <summary>The bytes of a file of its <see cref="Version"/>, everything inline.</summary>
    public byte[] ToBytes() => OrtCheckpointWriter.ToBytes(this);

    internal static string ExternalDataOf(string path) => $"{path}.data";
}
