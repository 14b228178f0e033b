using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Ir;
using OrtCpr.Tests.Heads;
using OrtCpr.Tests.Vision;
using OrtCpr.Tool;
using OrtCpr.Tool.Train;
using OrtCpr.Vision;

namespace OrtCpr.Tests.Tool;

// Folders and tables of pictures on the command line.
[TestClass]
[DoNotParallelize]
public sealed class PictureCommandTests
{
    // x [batch, 3, 16, 16] → Conv → Relu → GlobalAveragePool → logits [batch, 5].
    internal static void WriteModel(string path, int channels = 3, bool last = false)
    {
        Dim[] dims = last ? [16, 16, channels] : [channels, 16, 16];
        File.WriteAllBytes(path, HeadModels.Of((g, graph, x) =>
        {
            if (last) x = g.Op("Transpose", [x], ("perm", new long[] { 0, 3, 1, 2 }));
            Value conv = g.Op("Conv", [x, TestModels.Weight(graph, "conv.weight", 8, channels, 3, 3)], ("pads", new long[] { 1, 1, 1, 1 }));
            Value pooled = g.Op("Flatten", [g.Op("GlobalAveragePool", [g.Op("Relu", [conv])])]);
            return g.Op("Gemm", [pooled, TestModels.Weight(graph, "fc.weight", 5, 8), TestModels.Weight(graph, "fc.bias", 5)],
                ("transB", 1));
        }, dims: dims));
    }

    private static (int Code, string Output) Train(TemporaryFolder folder, params string[] words) => CommandTests.Run(["train",
        folder["model.onnx"], "--data", folder["shapes"], "--batch-size", "10", "--threads", "1", "--out", folder["job"], .. words]);

    private static TemporaryFolder Folder(int each = 6, int channels = 3, bool last = false)
    {
        var folder = new TemporaryFolder();
        ShapePictures.Draw(folder["shapes"], each);
        WriteModel(folder["model.onnx"], channels, last);
        return folder;
    }

    [TestMethod]
    public void AFolder_IsTrainedOn_SplitByClass_AndItsClassesNamed()
    {
        using TemporaryFolder folder = Folder();
        File.WriteAllText(folder["shapes/star/notes.txt"], "");
        (int code, string output) = Train(folder, "--validation-split", "0.34", "--metric", "accuracy", "--epochs", "2", "--augment",
            "--lr", "0.01");
        Assert.AreEqual(0, code, output);
        foreach (string part in new[] { "20 examples, 10 to evaluate on",
            "30 pictures of 5 classes (circle, cross, square, star, triangle), "
            + "each 16 × 16 RGB, NCHW", "1 files of other kinds are ignored", "validation accuracy" })
        {
            StringAssert.Contains(output, part);
        }
        string trained = Path.Combine(folder["job"], "model.onnx");
        CollectionAssert.AreEqual(ShapePictures.Classes, ModelHead.ClassNames(trained).ToArray());
        // A run and its model evaluate alike, and a folder that lacks a class has the model's numbers for the others.
        Directory.Delete(folder["shapes/circle"], true);
        (code, string ofRun) = CommandTests.Run("evaluate", folder["job"], "--data", folder["shapes"], "--metric", "accuracy");
        Assert.AreEqual(0, code, ofRun);
        (code, string ofModel) = CommandTests.Run("evaluate", trained, "--data", folder["shapes"], "--metric", "accuracy", "--batch-size",
            "10");
        Assert.AreEqual(0, code, ofModel);
        Assert.AreEqual(ofModel.Split('\n')[^2], ofRun.Split('\n')[^2], "accuracy");
        StringAssert.Contains(ofRun, "examples 24");
        Directory.CreateDirectory(folder["shapes/hexagon"]);
        (code, output) = CommandTests.Run("evaluate", trained, "--data", folder["shapes"]);
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "no class of the model or of the training data: 'hexagon'");
    }

    // The same steps in one go, and stopped and gone on: augmentation and order are those of seed and epoch.
    [TestMethod]
    public void AResumedRun_IsTheSame()
    {
        using TemporaryFolder folder = Folder();
        string[] words = ["--augmentation", "flip,crop=0.3..1,hue=0.1,rotation=10", "--balance", "--seed", "4"];
        Assert.AreEqual(0, Train(folder, [.. words, "--epochs", "3"]).Code);
        double[] whole = HeadModels.Initializer(File.ReadAllBytes(Path.Combine(folder["job"], "model.onnx")), "conv.weight");
        string[] part = ["--out", folder["other"], "--optimizer", "adamw"];
        Assert.AreEqual(0, Train(folder, [.. words, "--epochs", "3", "--optimizer", "adamw", "--workers", "1"]).Code);
        double[] expected = HeadModels.Initializer(File.ReadAllBytes(Path.Combine(folder["job"], "model.onnx")), "conv.weight");
        CollectionAssert.AreNotEqual(whole, expected);
        string[] common = ["train", folder["model.onnx"], "--data", folder["shapes"], "--batch-size", "10", "--threads", "1", .. part,
            .. words];
        (int code, string output) = CommandTests.Run([.. common, "--steps", "4", "--workers", "2"]);
        Assert.AreEqual(0, code, output);
        (code, output) = CommandTests.Run([.. common, "--steps", "9", "--workers", "3", "--resume"]);
        Assert.AreEqual(0, code, output);
        CollectionAssert.AreEqual(expected,
            HeadModels.Initializer(File.ReadAllBytes(Path.Combine(folder["other"], "model.onnx")), "conv.weight"));
    }

    [TestMethod]
    public void Mixup_TakesALossOfProbabilities()
    {
        using TemporaryFolder folder = Folder(channels: 1, last: true);
        (int code, string output) = Train(folder, "--augmentation", "mixup=0.2,cutmix", "--loss", "soft_cross_entropy", "--metric",
            "accuracy", "--validation-split", "0.34");
        Assert.AreEqual(0, code, output);
        // The validation has whole labels, and classes and their probabilities are measured alike.
        string trained = Path.Combine(folder["job"], "model.onnx");
        string[] both = [.. new[] { "soft_cross_entropy", "cross_entropy" }.Select(loss => CommandTests.Run("evaluate", trained, "--data",
            folder["shapes"], "--metric", "accuracy", "--loss", loss).Output.Split('\n')[^2])];
        StringAssert.StartsWith(both[0], "accuracy 0.");
        Assert.AreEqual(both[1], both[0]);
        StringAssert.Contains(output, "each 16 × 16 grey, NHWC");
        CollectionAssert.AreEqual(ShapePictures.Classes, ModelHead.ClassNames(trained).ToArray());
        (code, output) = Train(folder, "--augmentation", "mixup=0.2");
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "soft_cross_entropy");
        Assert.IsFalse(output.Contains("Mixup", StringComparison.Ordinal), output);
    }

    [TestMethod]
    public void ATable_ItsWeights_AndParts()
    {
        using TemporaryFolder folder = Folder(4);
        File.WriteAllLines(folder["shapes.csv"], ["file,kind", .. ShapePictures.Classes.SelectMany(c =>
            Directory.GetFiles(folder[$"shapes/{c}"]).Take(c == "star" ? 1 : 4).Select(f => $"shapes/{c}/{Path.GetFileName(f)},{c}"))]);
        (int code, string output) = CommandTests.Run("train", folder["model.onnx"], "--data", folder["shapes.csv"], "--image-column",
            "file",
            "--label", "kind", "--class-weights", "balanced", "--threads", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "17 pictures of 5 classes");
        // Folders train and val are the two sets; val may lack a class.
        Directory.CreateDirectory(folder["data"]);
        Directory.Move(folder["shapes"], folder["data/train"]);
        ShapePictures.Draw(folder["data/val"], 2, seed: 2);
        Directory.Delete(folder["data/val/circle"], true);
        (code, output) = CommandTests.Run("train", folder["model.onnx"], "--data", folder["data"], "--threads", "1", "--out",
            folder["job2"],
            "--class-weights", "effective=0.9", "--metric", "accuracy");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "20 examples, 8 to evaluate on");
        (code, output) = CommandTests.Run("evaluate", folder["model.onnx"], "--data", folder["data/val"], "--class-weights", "balanced");
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "--class-weights balanced counts the classes of training data");
    }

    [TestMethod]
    public void WhatIsWrong_IsSaid_WithTheNamesOfOptions()
    {
        using TemporaryFolder folder = Folder(2);
        StringAssert.Contains(Train(folder, "--head", "classes=3").Output,
            "The data have 5 classes (circle, cross, square, star, triangle), "
            + "and the model gives scores of 3. Put a head of 5 classes on it by --head classes=5.");
        StringAssert.Contains(Train(folder, "--head", "classes=7").Output, "warning: The data have 5 classes");
        StringAssert.Contains(Train(folder, "--image-size", "32").Output,
            "--image-size is 32, and the model takes pictures of 16 × 16 only");
        StringAssert.Contains(Train(folder, "--image-size", "big").Output, "--image-size 'big': expected N or HEIGHTxWIDTH");
        StringAssert.Contains(Train(folder, "--image-preset", "vgg").Output,
            "expected one of imagenet, clip, inception, unit, raw, paddleocr");
        StringAssert.Contains(Train(folder, "--image-fit", "x").Output, "--image-fit 'x' is not known");
        string wrong = Train(folder, "--augmentation", "flip=x,turn,crop=0.1..0.5").Output;
        StringAssert.Contains(wrong, "--augmentation: 'x' of flip is no number and no A..B; 'turn' is not known; expected flip,");
        StringAssert.Contains(Train(folder, "--balance", "--no-shuffle").Output, "give one");
        StringAssert.Contains(Train(folder, "--augmentation", "hue=2").Output, "--augmentation hue is 2; expected 0 to 0.5");
        StringAssert.Contains(Train(folder, "--image-crop", "1.5").Output, "--image-crop is 1.5");
        File.WriteAllText(folder["shapes/star/bad.png"], "");
        string bad = Train(folder).Output;
        StringAssert.Contains(bad, "bad.png': the file is empty");
        StringAssert.Contains(bad, "set --damaged to Skip");
        (int code, string output) = Train(folder, "--damaged", "skip");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "warning: 1 pictures can't be read and are left out:");
        StringAssert.Contains(CommandTests.Run("evaluate", folder["model.onnx"], "--data", folder["shapes"], "--damaged", "skip").Output,
            "warning: 1 pictures can't be read and are left out:");
        StringAssert.Contains(CommandTests.Run("train", TestModels.Case("models/mlp_dynamo.onnx"), "--data", folder["shapes"], "--out",
            folder["job"]).Output, "The model has no input for pictures");
    }

    [TestMethod]
    public void AText_IsAnAugmentation()
    {
        Assert.AreEqual(
            new ImageAugmentation { HorizontalFlip = 0.5, CropArea = new(0.35, 1), Brightness = 0.2, Erasing = 0.1, Mixup = 0.2 },
            AugmentationText.Parse("flip, crop=0.35..1,brightness=0.2,erasing=.1,mixup"));
        ImageAugmentation turned = new() { VerticalFlip = 0.25, CropArea = new(0.4, 1), CropAspect = new(0.9, 1.1) };
        Assert.AreEqual(turned with { Rotation = 15, Cutmix = 1 },
            AugmentationText.Parse("vertical_flip=0.25,crop=0.4,aspect=0.9..1.1,ROTATION,cutmix"));
        Assert.ThrowsExactly<ToolException>(() => AugmentationText.Parse("crop=1..2..3"));
    }
}
