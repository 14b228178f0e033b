using System.Collections.Immutable;
using System.CommandLine;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tool.Train;

// WAV files as data: a folder of them, or a table with their paths.
internal sealed class AudioData
{
    private readonly Option<string?> _audio = new("--audio") { Description = "CSV: the column with paths of WAV files." };
    private readonly Option<int> _rate =
        new("--sample-rate") { Description = "WAV: samples a second that the model takes.", DefaultValueFactory = _ => 16000 };
    private readonly Option<int?> _samples = new("--samples")
    {
        Description = "WAV: samples of an example; longer files are cut, shorter ones filled up. By default the model's size, or the "
            + "longest file's.",
    };
    private readonly Option<bool> _refuse =
        new("--refuse-other-rates") { Description = "WAV: files of another rate are refused, not resampled." };

    private ImmutableArray<string> _classes = [];

    public static readonly string[] Reading = ["--audio", "--sample-rate", "--samples", "--refuse-other-rates"];

    // What --augment does to sounds.
    public static readonly ImmutableArray<Transform> Augmentation =
        [Transform.RandomGain(), Transform.RandomShift(), Transform.RandomNoise()];

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _audio, _rate, _samples, _refuse }) command.Add(option);
    }

    public ImmutableArray<string> Classes => _classes;

    // Null where the path is none of sounds.
    public DataSource? Open(ParseResult r, string path, string? label, bool training)
    {
        bool isFolder = Directory.Exists(path) && FolderKinds.Of(path) == FolderKinds.Wav;
        if (!isFolder && r.GetValue(_audio) is null) return null;
        if (r.GetValue(_rate) < 1) throw new ToolException($"--sample-rate is {r.GetValue(_rate)}; expected at least 1.");
        if (r.GetValue(_samples) is < 1) throw new ToolException($"--samples is {r.GetValue(_samples)}; expected at least 1.");
        string model = r.GetValue<string>("MODEL")!;
        (long? size, int rank, bool keeps) = InputOf(model);
        DataSource source = DataSource.FromWav(path, new WavOptions
        {
            SampleRate = r.GetValue(_rate),
            RefuseOtherRates = r.GetValue(_refuse),
            Samples = r.GetValue(_samples) ?? (int?)size,
            KeepChannels = keeps,
            ChannelAxis = rank == 3,
            PathColumn = r.GetValue(_audio) ?? "path",
            Label = label,
            AllowOneClass = !training,
            Classes = _classes.Length > 0 ? _classes : Directory.Exists(model) ? ClassFile.Read(model) : [],
        });
        if (_classes.Length == 0) _classes = source.Columns.FirstOrDefault(c => c.IsLabel)?.ClassNames ?? [];
        if (_classes.Length > 0)
        {
            Console.Error.WriteLine($"{path}: classes {string.Join(", ", _classes.Take(20).Select((c, i) => $"{i} {c}"))}"
                + $"{(_classes.Length > 20 ? " …" : "")}");
        }
        return source;
    }

    // Samples, rank, and whether there are several channels, of the model's first input of sounds.
    private static (long? Samples, int Rank, bool KeepsChannels) InputOf(string path)
    {
        if (Directory.Exists(path)) path = Path.Combine(path, "model.onnx");
        using ModelFile file = ModelFile.Load(path);
        OnnxModel model = GraphReader.Read(file, WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, 0) : null);
        Shape? shape = model.Graph.Inputs.FirstOrDefault(i => !i.IsInitializer && i.Type.IsFloating()
            && i.Shape is { Rank: 2 or 3 })?.Shape;
        return shape is null ? (null, 2, false) : (shape[shape.Rank - 1].Known, shape.Rank, shape.Rank == 3 && shape[1].Known is not 1);
    }
}
