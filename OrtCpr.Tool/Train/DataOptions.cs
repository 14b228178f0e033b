using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Vision;

namespace OrtCpr.Tool.Train;

// Where examples come from: what a path is, and how it is read.
internal sealed class DataOptions
{
    private readonly Option<string> _data =
        new("--data")
        {
            Description = ".safetensors, .npz, .npy, .csv, .tsv, .parquet, .arrow, .feather, .jsonl (texts), .bin (tokens), .txt, an "
                + "IDX file of images, or a folder with CIFAR's binary files, or of pictures or WAV files with a folder for each class "
                + "(or train and val with such folders of pictures in them).",
            Required = true
        };
    private readonly Option<string?> _validation = new("--validation")
    {
        Description = "Data to evaluate on, of the same kind; CIFAR and MNIST have their own, and so has a folder of pictures with train "
            + "and val.",
    };
    private readonly Option<double> _split = new("--validation-split")
    {
        Description = "Share of the data that is evaluated on instead of trained; of pictures the same share of each class.",
    };
    private readonly Option<string[]> _columns =
        new("--column") { Description = "INPUT=COLUMN where names differ and it is not plain which belong together." };
    private readonly Option<string?> _label = new("--label") { Description = "Tables and .jsonl: the label's column." };
    private readonly Option<int> _length = new("--sequence-length") { Description = "Tokens a window.", DefaultValueFactory = _ => 128 };
    private readonly Option<long> _stride =
        new("--stride") { Description = "Tokens from one window to the next; 0 for windows that do not overlap." };
    private readonly Option<int> _width =
        new("--token-bytes") { Description = "Bytes a token of a .bin file: 2 or 4.", DefaultValueFactory = _ => 2 };
    private readonly Option<int> _size = new("--batch-size") { Description = "Examples a batch.", DefaultValueFactory = _ => 32 };
    private readonly Option<bool> _augment = new("--augment")
    {
        Description = "While training. Images of CIFAR and MNIST: reflecting pad of 4 with a random crop, and a random flip. Pictures: "
            + "random crops of 0.08 to 1 of the area, and a random flip; --augmentation says others. Sounds: gain, shift and noise.",
    };
    private readonly Option<bool> _scale =
        new("--scale") { Description = "Divides bytes by 255; on for images of CIFAR and MNIST.", DefaultValueFactory = _ => true };
    private readonly Option<double[]> _mean =
        new("--mean") { Description = "Images: means of the channels that are subtracted.", AllowMultipleArgumentsPerToken = true };
    private readonly Option<double[]> _deviation =
        new("--std") { Description = "Images: deviations of the channels that are divided by.", AllowMultipleArgumentsPerToken = true };
    private readonly Option<bool> _dropLast =
        new("--drop-last") { Description = "Leaves out the last batch of an epoch where it is not full; it is kept by default." };
    private readonly Option<string[]> _set =
        new("--set") { Description = "INPUT=VALUE, as sr=16000: an input of the model that is the same for every batch." };
    private readonly Option<int> _workers = new("--workers")
    {
        DefaultValueFactory = _ => 1,
        Description = "Threads that read the examples of a batch; 0 for one a processor; 1 by default, for pictures 0.",
    };
    private readonly Option<bool> _balance =
        new("--balance") { Description = "Every class comes equally often in an epoch, rare examples several times." };
    private readonly PictureOptions _pictures = new();
    private readonly TextData _texts = new();
    private readonly AudioData _audio = new();
    private readonly TableFiles _tables = new();
    private readonly Option<bool> _keepOrder = new("--no-shuffle") { Description = "Keeps the order of the data." };

    // How data are read, as a run and its evaluation do alike.
    public static readonly string[] Reading = ["--column", "--label", "--sequence-length", "--stride",
        "--token-bytes", "--batch-size", "--scale", "--mean", "--std", "--workers", .. PictureOptions.Reading, .. TextData.Reading,
        .. AudioData.Reading, .. TableFiles.Reading];

    public void AddTo(Command command, bool training)
    {
        command.Add(_data);
        _pictures.AddTo(command, training);
        foreach (Option option in training ? new Option[] { _validation, _split, _augment, _dropLast, _keepOrder, _balance } : [])
            command.Add(option);
        foreach (Option option in new Option[] { _columns, _label, _length, _stride, _width, _size, _set, _scale, _mean,
            _deviation, _workers })
        {
            command.Add(option);
        }
        _texts.AddTo(command, training);
        _audio.AddTo(command);
        _tables.AddTo(command);
    }

    // Names of the classes of what was opened, where they are texts or folders.
    public ImmutableArray<string> Classes =>
        new[] { _texts.Classes, _audio.Classes, _tables.Classes }.FirstOrDefault(c => c.Length > 0, []);

    public int BatchSize(ParseResult r) => r.GetValue(_size);

    // Batches of an epoch of training, each of so many processes together.
    public long BatchCount(ParseResult r, long examples, int processes)
    {
        long size = (long)BatchSize(r) * processes;
        return r.GetValue(_dropLast) ? examples / size : (examples + size - 1) / size;
    }

    // The data to train on, and those to evaluate on where there are any. seed: of the split.
    public OpenedData Open(ParseResult r, long seed, Func<PictureModel> model)
    {
        CheckBatchSize(r);
        string data = r.GetValue(_data)!;
        double split = r.GetValue(_split);
        if (!(split is >= 0 and < 1))
        {
            throw new ToolException($"--validation-split is {split.ToString(CultureInfo.InvariantCulture)}; expected 0 to below 1.");
        }
        string? other = r.GetValue(_validation);
        if (split > 0 && other is not null) throw new ToolException("--validation-split and --validation exclude each other.");
        if (split == 0 && other is null && IsPictures(r, data) && PictureOptions.Parts(data) is (string train, string val))
            (data, other) = (train, val);
        DataSource source = OpenOne(r, model, data, training: true);
        // Classes of the pictures to evaluate on are those of the pictures to train on.
        if (other is not null)
        {
            var pictures = source as ImageSource;
            Func<PictureModel> known = pictures is null ? model : () => model() with { ClassNames = pictures.ClassNames };
            return new(source, OpenOne(r, known, other, training: false), pictures);
        }
        if (split > 0)
        {
            (DataSource kept, DataSource held) = source is ImageSource { ClassNames.Length: > 0 } ? source.SplitByClass(1 - split, seed)
                : source.Split(1 - split, seed);
            return new(kept, held, source as ImageSource);
        }
        return new(source, IsCifar(data, training: false) || (PairOf(data) is not null && TestPart(data) is not null)
            ? OpenOne(r, model, TestPart(data) ?? data, training: false) : null, source as ImageSource);
    }

    public DataSource OpenOne(ParseResult r, Func<PictureModel> model, string? path = null, bool training = false)
    {
        CheckBatchSize(r);
        path ??= r.GetValue(_data)!;
        if ((_texts.Open(r, path, r.GetValue(_label), training) ?? _audio.Open(r, path, r.GetValue(_label), training)) is DataSource opened)
            return opened;
        if (IsPictures(r, path))
        {
            return _pictures.Open(r, path, model(), r.GetValue(_label), r.GetValue(_mean) ?? [], r.GetValue(_deviation) ?? [],
                r.GetValue(_scale));
        }
        if (_tables.Open(r, path, r.GetValue(_label)) is DataSource table) return table;
        if (Directory.Exists(path)) return DataSource.FromCifar(path, training);
        if (PairOf(path) is string labels) return DataSource.FromIdx(path, labels);
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".safetensors" => DataSource.FromSafetensors(path),
            ".npz" or ".npy" => DataSource.FromNumpy(path),
            ".bin" => DataSource.FromTokenFile(path, r.GetValue(_length), r.GetValue(_stride), r.GetValue(_width)),
            ".txt" => DataSource.FromTokens(_texts.Tokens(r, path), r.GetValue(_length), r.GetValue(_stride)),
            _ => throw new ToolException($"It is not known what '{path}' is; expected .safetensors, .npz, .npy, .csv, .tsv, .parquet, "
                + ".arrow, .feather, .jsonl, .bin, .txt, an IDX file named …images-idx3-ubyte (or .gz), a folder with CIFAR's binary "
                + "files, or a folder of pictures or WAV files with a folder for each class."),
        };
    }

    // A folder that is not CIFAR's, or a table that has a column with pictures.
    private bool IsPictures(ParseResult r, string path) => _pictures.IsTable(r)
        || (Directory.Exists(path) && !IsCifar(path, training: true) && !IsCifar(path, training: false)
            && (Directory.EnumerateDirectories(path).Any() || !Directory.EnumerateFiles(path, "*.bin").Any()));

    private void CheckBatchSize(ParseResult r)
    {
        if (r.GetValue(_size) < 1) throw new ToolException($"--batch-size is {r.GetValue(_size)}; expected at least 1.");
    }

    public DataLoader Load(ParseResult r, DataSource source, ImageSource? pictures, IReadOnlyList<BatchInput> inputs, long seed,
        bool training) => new(source, inputs, Loading(r, source, pictures, inputs, seed, training));

    // Features that were computed once: of what says how examples are read only the order is left, and where the labels are.
    public DataLoader LoadFeatures(ParseResult r, DataSource features, IReadOnlyList<BatchInput> inputs, long seed, bool training) =>
        new(features, inputs, Order(r, features, seed, training) with
        {
            Columns = Pairs(r).Where(p => inputs.Any(i => i.Name == p.Key)).ToImmutableDictionary(StringComparer.Ordinal),
        });

    public bool Augments(ParseResult r) => r.GetValue(_augment);

    // How the examples of a source are read for a model.
    public DataLoaderOptions Loading(ParseResult r, DataSource source, ImageSource? pictures, IReadOnlyList<BatchInput> inputs, long seed,
        bool training)
    {
        DataLoaderOptions order = Order(r, source, seed, training);
        DataLoaderOptions options = _texts.Lengths(r, training) with
        {
            BatchSize = order.BatchSize,
            Seed = order.Seed,
            Shuffle = order.Shuffle,
            Order = order.Order,
            DropLast = order.DropLast,
            Workers = pictures is not null && r.GetResult(_workers) is not { Implicit: false } ? 0 : r.GetValue(_workers),
            Constants = InputValues.Parse(r.GetValue(_set) ?? [], inputs),
            Columns = Pairs(r),
            Transforms = pictures is null ? Transforms(r, source, training) : [],
        };
        return training && _pictures.Augmentation(r, r.GetValue(_augment), pictures is not null) is ImageAugmentation augmentation
            ? augmentation.AddTo(options, pictures!.Options) : options;
    }

    private DataLoaderOptions Order(ParseResult r, DataSource source, long seed, bool training)
    {
        bool balances = training && r.GetValue(_balance);
        if (balances && r.GetValue(_keepOrder)) throw new ToolException("--balance and --no-shuffle both say what the order is; give one.");
        return new DataLoaderOptions
        {
            BatchSize = r.GetValue(_size),
            Seed = seed,
            Shuffle = training && !r.GetValue(_keepOrder),
            Order = balances ? ExampleOrder.Balanced(source, seed) : null,
            DropLast = training && r.GetValue(_dropLast),
        };
    }

    private ImmutableDictionary<string, string> Pairs(ParseResult r)
    {
        ImmutableDictionary<string, string>.Builder pairs = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (string text in r.GetValue(_columns) ?? [])
        {
            int at = text.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0 || at == text.Length - 1) throw new ToolException($"--column '{text}': expected INPUT=COLUMN.");
            pairs[text[..at]] = text[(at + 1)..];
        }
        return pairs.ToImmutable();
    }

    private ImmutableDictionary<string, ImmutableArray<Transform>> Transforms(ParseResult r, DataSource source, bool training)
    {
        double[] mean = r.GetValue(_mean) ?? [], deviation = r.GetValue(_deviation) ?? [];
        ImmutableDictionary<string, ImmutableArray<Transform>>.Builder all =
            ImmutableDictionary.CreateBuilder<string, ImmutableArray<Transform>>(StringComparer.Ordinal);
        if (training && r.GetValue(_augment) && source.Columns.Any(c => c.Name == "audio")) all["audio"] = AudioData.Augmentation;
        foreach (DataColumn column in source.Columns.Where(c => c.Dimensions.Count >= 2 && !c.IsLabel && c.Name != "audio"))
        {
            var transforms = new List<Transform>();
            if (training && r.GetValue(_augment)) transforms.AddRange([Transform.RandomCrop(), Transform.RandomHorizontalFlip()]);
            if (column.Type == ElementType.UInt8 && r.GetValue(_scale)) transforms.Add(Transform.Scale());
            if (mean.Length + deviation.Length > 0)
            {
                transforms.Add(Transform.Normalize([.. mean.Select(v => (float)v)], [.. deviation.Select(v => (float)v)]));
            }
            if (transforms.Count > 0) all[column.Name] = [.. transforms];
        }
        return all.ToImmutable();
    }

    private static bool IsCifar(string path, bool training) => Directory.Exists(path)
        && (File.Exists(Path.Combine(path, training ? "train.bin" : "test.bin"))
        || File.Exists(Path.Combine(path, training ? "data_batch_1.bin" : "test_batch.bin")));

    // MNIST's labels beside its images.
    private static string? PairOf(string path) => path.Contains("images-idx3", StringComparison.Ordinal)
        ? path.Replace("images-idx3", "labels-idx1", StringComparison.Ordinal) : null;

    private static string? TestPart(string path) =>
        Path.GetFileName(path).StartsWith("train-", StringComparison.Ordinal)
            && Path.Combine(Path.GetDirectoryName(path) ?? "", $"t10k-{Path.GetFileName(path)["train-".Length..]}") is string test
            && File.Exists(test) ? test : null;
}
