using Microsoft.ML.Tokenizers;
using OrtCpr.Data;
using OrtCpr.Metrics;
using OrtCpr.Text;

namespace OrtCpr.Tests.House;

/// <summary>The programs of docs/texts.md and docs/audio.md; <see cref="DocBlockTests"/> compares them.</summary>
internal static class DocExamples
{
    public static void Classify()
    {
        TextModel model = TextModel.Open("classifier.onnx");
        TextOptions options = new TextOptions
        {
            Tokenizer = TextTokenizer.Open("vocab.txt"),
            Text = "title",
            Label = "topic",
        }.For(model);
        using TextSource texts = TextSource.FromCsv("news.csv", options);
        (DataSource training, DataSource validation) = texts.Split(0.9);
        using TrainingDriver driver = TrainingDriver.Create("classifier.onnx");
        new Trainer(driver).Fit(
            new DataLoader(training, driver.Plan.BatchInputs, new DataLoaderOptions { SimilarLengths = 50 }),
            new FitOptions
            {
                Epochs = 3,
                Validation = new DataLoader(validation, driver.Plan.BatchInputs, new DataLoaderOptions { Shuffle = false }),
                Metrics = [Metric.Accuracy()],
            });
        driver.ExportModel("trained.onnx");
    }

    public static void Others(TextOptions options, TextSource texts)
    {
        using TextSource pairs = TextSource.FromJsonLines("questions.jsonl",
            options with { Text = "question", Pair = "answer" });
        using TextSource names = TextSource.FromJsonLines("names.jsonl",
            options with { Text = "tokens", Label = "tags", LabelsWords = true });
        using TextSource test = TextSource.FromCsv("test.csv",
            options with { Classes = texts.Columns.Single(c => c.IsLabel).ClassNames, AllowOneClass = true });
    }

    public static void NextTokens()
    {
        TextTokenizer gpt2 = TextTokenizer.Of(TiktokenTokenizer.CreateForModel("gpt2"), vocabularySize: 50257);
        IReadOnlyList<int> tokens = TextTokens.Encode("book.txt", gpt2.Encode);
        using DataSource windows = DataSource.FromTokens(tokens, length: 128);
    }

    public static void Sounds()
    {
        using DataSource sounds = DataSource.FromWav("recordings", new WavOptions { SampleRate = 16000, Samples = 16000 });
        (DataSource training, DataSource validation) = sounds.Split(0.9);
        using TrainingDriver driver = TrainingDriver.Create("sounds.onnx");
        DataLoader batches = new(training, driver.Plan.BatchInputs, new DataLoaderOptions
        {
            Transforms = new DataLoaderOptions().Transforms.Add("audio",
                [Transform.RandomGain(6), Transform.RandomShift(1600), Transform.RandomNoise(0.005)]),
        });
        new Trainer(driver).Fit(batches, new FitOptions
        {
            Epochs = 20,
            Validation = new DataLoader(validation, driver.Plan.BatchInputs, new DataLoaderOptions { Shuffle = false }),
            Metrics = [Metric.Accuracy()],
        });
    }

    public static void Table()
    {
        WavOptions options = new() { PathColumn = "file", Label = "speaker", KeepChannels = true, RefuseOtherRates = true };
        using DataSource speakers = DataSource.FromWav("speakers.csv", options);
        WavFile file = WavFile.Read("recordings/yes/1.wav");
        Console.WriteLine($"{file.Channels} channels of {file.Length} samples at {file.SampleRate} Hz");
    }
}
