using System.Text.RegularExpressions;
using Google.Protobuf;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.OrtTraining;

// The checkpoint of ONNX Runtime training 1.15: a directory with sequences of TensorProto messages, a count and then a length and a message
// each.
internal static partial class OrtCheckpointDirectory
{
    private const string Trainable = "paramtrain_tensors.pbseq", Frozen = "paramfrozen_tensors.pbseq",
        Properties = "custom_properties.pbseq",
        Step = "builtin.step", InitialRate = "builtin.initial_learning_rate";

    public static OrtCheckpoint Load(string path)
    {
        if (!File.Exists(Path.Combine(path, Trainable)) && !File.Exists(Path.Combine(path, Frozen)))
        {
            throw new CheckpointException($"Directory '{path}' is no checkpoint of ONNX Runtime training 1.15: expected '{Trainable}' in "
                + "it. Pass a checkpoint file or such a directory.");
        }
        return new OrtCheckpoint
        {
            Trainable = Tensors(Path.Combine(path, Trainable)),
            Frozen = Tensors(Path.Combine(path, Frozen)),
            Groups = [.. Directory.EnumerateFiles(path, "optim_*_properties.pbseq").Order(StringComparer.Ordinal).Select(Group)],
            Properties = Tensors(Path.Combine(path, Properties)).ToDictionary(p => p.Name, p => Property(p, path), StringComparer.Ordinal),
        };
    }

    private static OrtOptimizerGroup Group(string properties)
    {
        string folder = Path.GetDirectoryName(properties)!, name = GroupName().Match(Path.GetFileName(properties)).Groups[1].Value;
        Dictionary<string, object> values = Tensors(properties)
            .ToDictionary(t => t.Name, t => Property(t, properties), StringComparer.Ordinal);
        var states = new SortedDictionary<string, List<OrtTensor>>(StringComparer.Ordinal);
        string prefix = $"optim_{name}_", suffix = "_tensors.pbseq";
        foreach (string file in Directory.EnumerateFiles(folder, $"{prefix}*{suffix}").Order(StringComparer.Ordinal))
        {
            string momentum = Path.GetFileName(file)[prefix.Length..^suffix.Length];
            foreach (OrtTensor t in Tensors(file))
            {
                if (!states.TryGetValue(t.Name, out List<OrtTensor>? list)) states[t.Name] = list = [];
                list.Add(t with { Name = momentum });
            }
        }
        return new OrtOptimizerGroup(name, values.GetValueOrDefault(Step) as long? ?? 0,
            values.GetValueOrDefault(InitialRate) as float? ?? 0.001f,
            [.. states.Select(s => new OrtParameterState(s.Key, s.Value))]);
    }

    private static object Property(OrtTensor property, string path) => property.Data switch
    {
        { ElementCount: 1, Type: ElementType.Int64 } data => data.ToInt64s()[0],
        { ElementCount: 1, Type: ElementType.Float } data => data.AsSpan<float>()[0],
        { ElementCount: 1, Strings: { } texts } => System.Text.Encoding.UTF8.GetString(texts[0].Span),
        _ => throw new CheckpointException($"Property '{property.Name}' of checkpoint '{path}' is {property.Data}; expected one INT64, "
            + "FLOAT or STRING. Save the checkpoint again."),
    };

    private static OrtTensor[] Tensors(string file)
    {
        if (!File.Exists(file)) return [];
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(file);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(file, error);
        }
        return Tensors(bytes, file);
    }

    internal static OrtTensor[] Tensors(byte[] bytes, string file)
    {
        var tensors = new List<OrtTensor>();
        try
        {
            var input = new CodedInputStream(bytes);
            uint count = input.ReadUInt32();
            for (uint i = 0; i < count; i++)
            {
                var proto = new TensorProto();
                input.ReadMessage(proto);
                if (TensorSerializer.Read(proto, folder: null, out TensorData? data) is string problem)
                {
                    throw new CheckpointException($"Tensor '{proto.Name}' of checkpoint file '{file}' is damaged: {problem}. Save the "
                        + "checkpoint again.");
                }
                tensors.Add(new OrtTensor(proto.Name, data!));
            }
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new CheckpointException($"Checkpoint file '{file}' is damaged: {error.Message} Save the checkpoint again.", error);
        }
        if (tensors.GroupBy(t => t.Name).FirstOrDefault(n => n.Count() > 1) is { } twice)
        {
            throw new CheckpointException($"Checkpoint file '{file}' is damaged: tensor '{twice.Key}' is there twice. Save the checkpoint "
                + "again.");
        }
        return [.. tensors];
    }

    [GeneratedRegex("^optim_(.*)_properties\\.pbseq$")]
    private static partial Regex GroupName();
}
