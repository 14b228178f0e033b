using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Text;

namespace OrtCpr.Tests.Text;

[TestClass]
public sealed class TextSourceTests
{
    private static TextOptions Options(TemporaryFolder folder) =>
        new() { Tokenizer = TextTokenizer.Open(SmallTokenizers.WordPiece(folder)) };

    private static long[] Example(DataSource source, string column, long row)
    {
        int index = source.Columns.ToList().FindIndex(c => c.Name == column);
        byte[] bytes = new byte[source.Columns[index].Length * 8];
        source.Read(index, row, bytes);
        return MemoryMarshal.Cast<byte, long>(bytes).ToArray();
    }

    private static void Refused(Action action, params string[] parts)
    {
        string message = Assert.ThrowsExactly<DataFileException>(action).Message;
        foreach (string part in parts) StringAssert.Contains(message, part);
    }

    [TestMethod]
    public void Csv_OfPairs_HasMasksTypesAndClasses()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.csv"], "id,first,second,topic\n1,hello world,\"un\nworld\",sport\n2,\"hello, hello\",un,art\n");
        using TextSource source = TextSource.FromCsv(folder["a.csv"],
            Options(folder) with { Text = "first", Pair = "second", Label = "topic", MaxLength = 8 });
        CollectionAssert.AreEqual(new long[] { 2, 5, 6, 3, 9, 6, 3, 0 }, Example(source, "input_ids", 0));
        CollectionAssert.AreEqual(new long[] { 1, 1, 1, 1, 1, 1, 1, 0 }, Example(source, "attention_mask", 0));
        CollectionAssert.AreEqual(new long[] { 0, 0, 0, 0, 1, 1, 1, 0 }, Example(source, "token_type_ids", 0));
        // Ordinal order: art 0, sport 1.
        CollectionAssert.AreEqual(new long[] { 1 }, Example(source, "label", 0));
        CollectionAssert.AreEqual(new[] { "art", "sport" }, source.Columns.Single(c => c.IsLabel).ClassNames);
        Assert.AreEqual((7, 0L), (source.Longest, source.CutExamples));
        Assert.AreEqual(7, source.LengthOf(0));
        Assert.AreEqual(7, source.Select([1, 0]).LengthOf(1));
    }

    [TestMethod]
    public void JsonLines_NumbersAreTargets_AndWholeNumbersClasses()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.jsonl"],
            "{\"text\": \"hello\", \"score\": 0.5, \"stars\": 3}\n\n{\"text\": \"un\", \"score\": -1e1, \"stars\": 1}\n");
        using TextSource scores = TextSource.FromJsonLines(folder["a.jsonl"], Options(folder) with { Label = "score" });
        byte[] bytes = new byte[4];
        scores.Read(3, 1, bytes);
        Assert.AreEqual((ElementType.Float, -10f), (scores.Columns[3].Type, BitConverter.ToSingle(bytes)));
        using TextSource stars = TextSource.FromJsonLines(folder["a.jsonl"],
            Options(folder) with { Label = "stars", Columns = ["input_ids"] });
        CollectionAssert.AreEqual(new long[] { 3 }, Example(stars, "label", 0));
        Assert.HasCount(2, stars.Columns);
        Assert.AreEqual(512, stars.Columns[0].Length);
    }

    // The first token of a word has its label, at −100 are its others, special ones and padding.
    [TestMethod]
    public void LabelsOfWords_AreOnTheirFirstTokens()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.jsonl"], "{\"words\": [\"hello\", \"worlds\", \"un\"], \"tags\": [\"O\", \"B\", \"O\"]}\n");
        TextOptions options = Options(folder) with { Text = "words", Label = "tags", LabelsWords = true, MaxLength = 8 };
        using TextSource source = TextSource.FromJsonLines(folder["a.jsonl"], options);
        CollectionAssert.AreEqual(new long[] { 2, 5, 6, 7, 9, 3, 0, 0 }, Example(source, "input_ids", 0));
        CollectionAssert.AreEqual(new long[] { -100, 1, 0, -100, 1, -100, -100, -100 }, Example(source, "labels", 0));
        File.WriteAllText(folder["a.csv"], "words,tags\nhello un,O B\n");
        using TextSource table = TextSource.FromCsv(folder["a.csv"], options);
        CollectionAssert.AreEqual(new long[] { -100, 1, 0, -100, -100, -100, -100, -100 }, Example(table, "labels", 0));
        File.WriteAllText(folder["a.csv"], "words,tags\nhello un,O\n");
        Refused(() => TextSource.FromCsv(folder["a.csv"], options), "line 2: 2 words and 1 labels");
        Assert.ThrowsExactly<OptionException>(() => TextSource.FromCsv(folder["a.csv"], options with { Pair = "tags" }));
    }

    [TestMethod]
    public void LongTexts_AreCutAndCounted_OrRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.csv"], "text\nhello hello hello\nun\n");
        using TextSource source = TextSource.FromCsv(folder["a.csv"], Options(folder) with { MaxLength = 4 });
        CollectionAssert.AreEqual(new long[] { 2, 5, 5, 3 }, Example(source, "input_ids", 0));
        Assert.AreEqual((1L, 4), (source.CutExamples, source.Longest));
        Refused(() => TextSource.FromCsv(folder["a.csv"], Options(folder) with { MaxLength = 4, RefuseLong = true }),
            "line 2: the text has more than 4 tokens");
        Assert.ThrowsExactly<OptionException>(() => TextSource.FromCsv(folder["a.csv"], Options(folder) with { MaxLength = 2 }));
        Assert.ThrowsExactly<OptionException>(() => TextSource.FromCsv(folder["a.csv"], Options(folder) with { Columns = ["ids"] }));
    }

    [TestMethod]
    public void WhatIsWrong_AllAtOnce()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.csv"], "text,topic\nhello,a\n\" \",b\nun,\nun,b,c\nworld,b\n");
        Refused(() => TextSource.FromCsv(folder["a.csv"], Options(folder) with { Label = "topic" }), folder["a.csv"],
            "line 3: the text 'text' is empty", "line 4, column 'topic': the label is missing", "line 5: 3 cells, expected 2");
        Refused(() => TextSource.FromCsv(folder["a.csv"], Options(folder) with { Text = "txt", Label = "class" }),
            "no column 'txt', 'class'; there are 'text', 'topic'");
        File.WriteAllText(folder["b.csv"], "text,topic\nhello,a\nun,a\n");
        Refused(() => TextSource.FromCsv(folder["b.csv"], Options(folder) with { Label = "topic" }), "one class only, 'a'");
        using (TextSource one = TextSource.FromCsv(folder["b.csv"], Options(folder) with { Label = "topic", AllowOneClass = true }))
            Assert.AreEqual(2, one.Count);
        Assert.ThrowsExactly<FileAccessException>(() => TextSource.FromCsv(folder["nothing.csv"], Options(folder)));
        File.WriteAllText(folder["c.csv"], "text,topic\nhello,a\nun,c\n");
        Refused(() => TextSource.FromCsv(folder["c.csv"], Options(folder) with { Label = "topic", Classes = ["a", "b"] }),
            "line 3, column 'topic': 'c' is none of the classes 'a', 'b'");
        File.WriteAllText(folder["c.csv"], "text,topic\nhello,1.5\nun,c\n");
        Refused(() => TextSource.FromCsv(folder["c.csv"], Options(folder) with { Label = "topic", IsClass = false }),
            "line 3, column 'topic': expected a number, found 'c'");
        File.WriteAllText(folder["c.csv"], "text\n");
        Refused(() => TextSource.FromCsv(folder["c.csv"], Options(folder)), "there is no text");
        File.WriteAllText(folder["a.jsonl"], "{\"text\": \"hello\"}\n{\"text\": \n[1]\n{\"txt\": \"un\", \"id\": 1}\n{\"text\": null}\n");
        Refused(() => TextSource.FromJsonLines(folder["a.jsonl"], Options(folder)), "line 2: it is no JSON",
            "line 3: Array in place of an object",
            "line 4: there is no 'text'; there are 'txt', 'id'", "line 5: the text 'text' is empty");
        Refused(() => TextSource.FromCsv(folder["b.csv"], Options(folder) with { VocabularySize = 13 }), "has ids up to 13",
            "table of 13 rows");
    }

    private static readonly BatchInput[] Inputs =
    [
        new() { Name = "input_ids", Type = ElementType.Int64, Dimensions = ["batch", "sequence"] },
        new() { Name = "attention_mask", Type = ElementType.Float, Dimensions = ["batch", "sequence"] },
        new() { Name = "labels", Type = ElementType.Int64, Dimensions = ["batch"], IsLabel = true },
    ];

    // Texts of 1, 2, … words, and the length in tokens as the label.
    private static TextSource Lengths(TemporaryFolder folder, int count)
    {
        File.WriteAllText(folder["lengths.csv"], "text,n\n" + string.Join('\n', Enumerable.Range(1, count)
            .Select(n => $"{string.Join(' ', Enumerable.Repeat("hello", n))},{n + 2}")) + "\n");
        return TextSource.FromCsv(folder["lengths.csv"], Options(folder) with { Label = "n", MaxLength = count + 2 });
    }

    private static long[] Data(Batch batch, string name) => [.. Device.ReadOnHost(batch.Tensors[name]).ToDoubles().Select(v => (long)v)];

    [TestMethod]
    [DataRow(1, 0)]
    [DataRow(8, 2)]
    public void Batches_AreAsLongAsTheirLongestText(int multiple, int prefetch)
    {
        using var folder = new TemporaryFolder();
        using TextSource source = Lengths(folder, 20);
        var loader = new DataLoader(source, Inputs, new DataLoaderOptions
        {
            BatchSize = 3,
            Seed = 5,
            LengthMultiple = multiple,
            Prefetch = prefetch,
        });
        int[] order = SplitMix64.For(5, 0).Permutation(20);
        int at = 0;
        foreach (Batch batch in loader.Batches())
        {
            using (batch)
            {
                int[] lengths = [.. order.Skip(at).Take(3).Select(i => i + 3)];
                int length = Math.Min(22, (lengths.Max() + multiple - 1) / multiple * multiple);
                CollectionAssert.AreEqual(new long[] { lengths.Length, length },
                    batch.Tensors["input_ids"].GetTensorTypeAndShape().Shape);
                CollectionAssert.AreEqual(lengths.Select(n => (long)n).ToArray(), Data(batch, "labels"));
                CollectionAssert.AreEqual(lengths.SelectMany(n => Enumerable.Range(0, length).Select(i => i < n ? 1L : 0)).ToArray(),
                    Data(batch, "attention_mask"));
                CollectionAssert.AreEqual(
                    lengths.SelectMany(n => Enumerable.Range(0, length).Select(i => i == 0 ? 2L : i < n - 1 ? 5 : i == n - 1 ? 3 : 0))
                        .ToArray(),
                    Data(batch, "input_ids"));
                at += lengths.Length;
            }
        }
        Assert.AreEqual(20, at);
    }

    // A model with a fixed length gets it, and then all columns are that long.
    [TestMethod]
    public void AFixedLength_StaysWhole()
    {
        using var folder = new TemporaryFolder();
        using TextSource source = Lengths(folder, 4);
        BatchInput[] inputs = [Inputs[0] with { Dimensions = ["batch", "6"] }, Inputs[1], Inputs[2]];
        using Batch batch = new DataLoader(source.Select([0, 1]), inputs, new DataLoaderOptions { Shuffle = false }).Batches().Single();
        CollectionAssert.AreEqual(new long[] { 2, 6 }, batch.Tensors["input_ids"].GetTensorTypeAndShape().Shape);
        CollectionAssert.AreEqual(new long[] { 2, 6 }, batch.Tensors["attention_mask"].GetTensorTypeAndShape().Shape);
    }

    [TestMethod]
    public void SimilarLengths_LeaveLittlePadding_AndGoOnFromAnyBatch()
    {
        using var folder = new TemporaryFolder();
        using TextSource source = Lengths(folder, 50);
        long[] Order(int skip, int stretch)
        {
            var loader = new DataLoader(source, Inputs, new DataLoaderOptions { BatchSize = 4, Seed = 2, SimilarLengths = stretch });
            return [.. loader.Batches(3, skip).SelectMany(b => { using (b) return Data(b, "labels"); })];
        }
        long[] all = Order(0, 12), plain = Order(0, 0);
        CollectionAssert.AreEqual(plain.Order().ToArray(), all.Order().ToArray(), "every example comes once");
        CollectionAssert.AreEqual(all.Skip(4 * 5).ToArray(), Order(5, 12));
        static long Padding(long[] lengths) => lengths.Chunk(4).Sum(c => c.Sum(n => c.Max() - n));
        // 48 of 50 lengths, sorted: neighbours are at most three apart (two of the lengths are in the last batch).
        Assert.IsLessThan(12 * 6 + 80, Padding(all));
        Assert.IsGreaterThan(300, Padding(plain));
        Assert.IsFalse(all.SequenceEqual(all.Order()), "batches are shuffled");
        Assert.ThrowsExactly<OptionException>(() =>
            new DataLoader(source, Inputs, new DataLoaderOptions { SimilarLengths = 5, Shuffle = false }));
        Assert.ThrowsExactly<OptionException>(() => new DataLoader(source, Inputs, new DataLoaderOptions { LengthMultiple = 0 }));
    }
}
