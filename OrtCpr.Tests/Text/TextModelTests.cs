using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Text;

namespace OrtCpr.Tests.Text;

[TestClass]
public sealed class TextModelTests
{
    [TestMethod]
    public void TablesOfTokensAndPositions_AreFound()
    {
        using var folder = new TemporaryFolder();
        var model = TextModel.Open(TextModels.Encoder(folder["a.onnx"]));
        Assert.AreEqual((20, 12, false), (model.VocabularySize!.Value, model.MaxLength!.Value, model.IsFixed));
        CollectionAssert.AreEqual(new[] { "input_ids", "attention_mask", "token_type_ids" }, model.Inputs.ToArray());
        // Positions begin behind the padding's id, 1: 12 rows are for 10 tokens, as RoBERTa's 514 for 512.
        Assert.AreEqual(10, TextModel.Open(TextModels.Encoder(folder["b.onnx"], counted: true)).MaxLength);
        var fixedLength = TextModel.Open(TextModels.Encoder(folder["c.onnx"], length: 7));
        Assert.AreEqual((7, true), (fixedLength.MaxLength!.Value, fixedLength.IsFixed));
        CollectionAssert.AreEqual(new[] { "no", "yes" },
            TextModel.Open(TextModels.Encoder(folder["d.onnx"], names: ["no", "yes"])).ClassNames);
        var other = TextModel.Open(TestModels.Case("models/mlp_dynamo.onnx"));
        Assert.AreEqual((null, null, 0), (other.VocabularySize, other.MaxLength, other.ClassNames.Length));
        Assert.AreEqual(8192, TextModel.Open(Path.Combine(AppContext.BaseDirectory, "gpt2_5m.onnx")).VocabularySize);
    }

    [TestMethod]
    public void Options_ForAModel_AreHeldToIt()
    {
        using var folder = new TemporaryFolder();
        var tokenizer = TextTokenizer.Open(SmallTokenizers.WordPiece(folder));
        var options = new TextOptions { Tokenizer = tokenizer, Label = "topic" };
        var model = TextModel.Open(TextModels.Encoder(folder["a.onnx"], names: ["no", "yes"]));
        TextOptions held = options.For(model);
        Assert.AreEqual((12, 20), (held.MaxLength!.Value, held.VocabularySize!.Value));
        CollectionAssert.AreEqual(new[] { "no", "yes" }, held.Classes);
        Assert.AreEqual(5, (options with { MaxLength = 5 }).For(model).MaxLength);
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => (options with { MaxLength = 13 }).For(model)).Message,
            "MaxLength is 13; expected at most 12");
        var fixedLength = TextModel.Open(TextModels.Encoder(folder["c.onnx"], length: 7));
        Assert.AreEqual(7, options.For(fixedLength).MaxLength);
        Assert.ThrowsExactly<OptionException>(() => (options with { MaxLength = 5 }).For(fixedLength));
        var small = TextModel.Open(TextModels.Encoder(folder["d.onnx"], vocabulary: 10));
        string message = Assert.ThrowsExactly<DataFileException>(() => small.Check(tokenizer)).Message;
        foreach (string part in new[] { "ids up to 13", folder["d.onnx"], "10 rows" }) StringAssert.Contains(message, part);
        model.Check(tokenizer);
    }
}
