using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Losses;
using OrtCpr.Metrics;
using OrtCpr.Tests.House;
using OrtCpr.Vision;

namespace OrtCpr.Tests.Vision;

/// <summary>The programs of docs/images.md, so that they compile.</summary>
[TestClass]
public sealed class ImageDocsTests
{
    [TestMethod]
    public void EveryProgram_OfTheDocument_IsInThisFile()
    {
        string own = Plain(File.ReadAllText(Path.Combine(Repository.Root, "OrtCpr.Tests", "Vision", "ImageDocsTests.cs")));
        string[] programs = [.. File.ReadAllText(Path.Combine(Repository.Root, "docs", "images.md")).Split("```csharp\n").Skip(1)
            .Select(p => Plain(p[..p.IndexOf("```", StringComparison.Ordinal)]))];
        Assert.HasCount(6, programs);
        foreach (string program in programs) StringAssert.Contains(own, program);
    }

    private static string Plain(string text) => string.Join('\n', text.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0));

    internal static void TrainOnAFolder()
    {
        TrainingOptions job = new() { Parameters = new() { TrainOnly = ModelHead.Parameters("flowers.onnx") } };
        using TrainingDriver driver = TrainingDriver.Create("flowers.onnx", job);
        ImageOptions options = ImageOptions.For(driver.Plan.BatchInputs);
        using ImageSource pictures = ImageFolder.Open("flowers", options);
        (DataSource training, DataSource validation) = pictures.SplitByClass(0.8);
        DataLoaderOptions loading = new() { BatchSize = 32, Workers = 0 };
        DataLoader batches = new(training, driver.Plan.BatchInputs, ImageAugmentation.Standard.AddTo(loading, options));
        DataLoader held = new(validation, driver.Plan.BatchInputs, loading with { Shuffle = false });
        new Trainer(driver).Fit(batches, new FitOptions { Epochs = 20, Validation = held, Metrics = [Metric.Accuracy()] });
        driver.ExportModel("trained.onnx");
        ModelHead.NameClasses("trained.onnx", "trained.onnx", pictures.ClassNames);
    }

    internal static void ReadTables()
    {
        using ImageSource classes = ImageTable.Open("birds.csv", "file", "species");
        using ImageSource ages = ImageTable.Open("faces.csv", "file", "age", ImageOptions.ImageNet with { Labels = ImageLabels.Numbers });
        _ = (classes, ages);
    }

    internal static void SetByHand()
    {
        ImageOptions byHand = ImageOptions.Inception with
        {
            Height = 192,
            Width = 256,
            Fit = ImageFit.Pad,
            Layout = ImageLayout.Nhwc,
            Channels = ImageChannels.Bgr,
            Mean = [0.5f],
            Deviation = [0.25f],
            Background = ImageColor.Black,
        };
        _ = byHand;
    }

    internal static void Augment()
    {
        ImageAugmentation augmentation = new()
        {
            HorizontalFlip = 0.5,
            CropArea = new(0.35, 1),
            Brightness = 0.2,
            Contrast = 0.2,
            Saturation = 0.2,
            Hue = 0.05,
            Rotation = 10,
            Erasing = 0.1,
        };
        _ = augmentation;
    }

    internal static void WeighClasses(DataSource training)
    {
        ImmutableArray<float> inverse = ClassWeights.InverseFrequency(training);
        ImmutableArray<float> effective = ClassWeights.EffectiveNumber(training, 0.999);
        CrossEntropyLoss weighted = new() { ClassWeights = effective };
        DataLoaderOptions balanced = new() { Order = ExampleOrder.Balanced(training, seed: 1) };
        _ = (inverse, weighted, balanced);
    }

    internal static void LeaveOutBadFiles()
    {
        using ImageSource left = ImageFolder.Open("flowers", ImageOptions.ImageNet with { Damaged = DamagedImages.Skip });
        foreach (DamagedImage image in left.Skipped) Console.WriteLine($"{image.Path}: {image.Reason}");
        Console.WriteLine($"{left.IgnoredFiles} files of other kinds");
    }
}
