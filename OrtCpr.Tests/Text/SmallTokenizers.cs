using System.Text;
using System.Text.Json;

namespace OrtCpr.Tests.Text;

/// <summary>Small tokenizers, written as their authors' programs write them.</summary>
internal static class SmallTokenizers
{
    // Ids are line numbers: [PAD] 0 … hello 5, world 6, ##s 7, ! 8, un 9, ##aff 10, ##able 11, cafe 12, 中 13.
    public static readonly string[] Words =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "##s", "!", "un", "##aff", "##able", "cafe", "中"];

    // Ġ is a space in front of a word.
    public static readonly Dictionary<string, int> Pieces = new(StringComparer.Ordinal)
    {
        ["<s>"] = 0,
        ["<pad>"] = 1,
        ["</s>"] = 2,
        ["<unk>"] = 3,
        ["l"] = 4,
        ["o"] = 5,
        ["w"] = 6,
        ["e"] = 7,
        ["r"] = 8,
        ["Ġ"] = 9,
        ["lo"] = 10,
        ["low"] = 11,
        ["Ġlow"] = 12,
        ["er"] = 13,
    };

    public static readonly string[] Merges = ["l o", "lo w", "Ġ low", "e r"];

    public static string WordPiece(TemporaryFolder folder, string name = "vocab.txt")
    {
        File.WriteAllLines(folder[name], Words);
        return folder[name];
    }

    public static string BytePair(TemporaryFolder folder, IReadOnlyDictionary<string, int>? pieces = null)
    {
        File.WriteAllText(folder["vocab.json"], JsonSerializer.Serialize(pieces ?? Pieces));
        File.WriteAllText(folder["merges.txt"], "#version: 0.2\n" + string.Join('\n', Merges) + "\n");
        return folder["vocab.json"];
    }

    // A SentencePiece model as protocol buffers: pieces with scores and kinds, kind and special ids, normalizer.
    public static byte[] SentencePiece(int kind = 1, int start = 1)
    {
        (string Piece, float Score, int Kind)[] pieces =
        [
            ("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u2581low", -1, 1), ("\u2581", -3, 1), ("l", -4, 1), ("o", -4, 1),
                ("w", -4, 1),
            ("er", -2, 1), ("e", -4, 1), ("r", -4, 1), ("\u2581lo", -2, 1),
        ];
        return
        [
            .. pieces.SelectMany(p => Bytes(1, [.. Bytes(1, Encoding.UTF8.GetBytes(p.Piece)), .. Number(2 * 8 + 5),
                .. BitConverter.GetBytes(p.Score),
                .. Field(3, p.Kind)])),
            .. Bytes(2, [.. Field(3, kind), .. Field(40, 0), .. Field(41, start), .. Field(42, 2)]),
            .. Bytes(3, [.. Bytes(1, "identity"u8.ToArray()), .. Field(3, 1), .. Field(4, 1), .. Field(5, 1)]),
        ];
    }

    private static byte[] Field(int field, long value) => [.. Number((ulong)field * 8), .. Number((ulong)value)];

    private static byte[] Bytes(int field, byte[] bytes) => [.. Number(((ulong)field * 8) + 2), .. Number((ulong)bytes.Length), .. bytes];

    private static byte[] Number(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 128; value >>= 7) bytes.Add((byte)(value | 128));
        return [.. bytes, (byte)value];
    }
}
